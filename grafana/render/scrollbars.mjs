// react-custom-scrollbars-2 is CommonJS; its default export arrives one level too deep (React error 130 otherwise).
import * as module from './node_modules/react-custom-scrollbars-2/lib/index.js';

export const Scrollbars = module.Scrollbars ?? module.default.Scrollbars ?? module.default.default;
export default Scrollbars;
