// What some packages expect of Node.
export const process = {env: {NODE_ENV: 'production'}, platform: 'browser', version: '', nextTick: (task, ...rest) => setTimeout(() => task(...rest), 0)};
