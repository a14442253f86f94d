// Bundles app.jsx into dist/. Run in the folder that has node_modules.
import * as esbuild from 'esbuild';

await esbuild.build({
  entryPoints: ['app.jsx'], bundle: true, outdir: 'dist', format: 'esm', splitting: true, jsx: 'automatic', minify: false, logLevel: 'error',
  define: {'process.env.NODE_ENV': '"production"', 'process.env.NODE_DEBUG': '""', global: 'window'},
  loader: {'.svg': 'text', '.png': 'dataurl', '.woff2': 'dataurl', '.woff': 'dataurl', '.ttf': 'dataurl'},
  conditions: ['import', 'module', 'browser'], mainFields: ['browser', 'module', 'main'], inject: ['shim.mjs'],
  alias: {
    'react-router-dom-v5-compat': 'react-router-dom', // its own build needs version 5 as well as version 6
    'react-custom-scrollbars-2': `${process.cwd()}/scrollbars.mjs`,
  },
});
