// Opens a page in headless Chromium, waits for its report, and takes a picture of the whole page, or of its top.
//
//   node shot.mjs URL OUT.png OUT.json WIDTH PROFILE [HEIGHT]
//
// It speaks the DevTools protocol over a pipe: one load of the page, and no guessing how long a busy machine needs.
import {spawn} from 'node:child_process';
import {writeFileSync} from 'node:fs';

const [url, picture, reportFile, width, profile, height] = process.argv.slice(2);
const PATIENCE = 150_000;
const HEIGHT = 1000; // to begin with

const browser = spawn('chromium', ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--no-first-run',
  `--user-data-dir=${profile}`, '--remote-debugging-pipe', 'about:blank'], {stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe']});
const end = () => browser.exitCode === null && browser.kill('SIGKILL');
const watchdog = setTimeout(() => { console.error('shot.mjs: the browser gave no report in time'); end(); process.exit(1); }, PATIENCE);
browser.on('error', error => { console.error(`shot.mjs: ${error.message}`); process.exit(1); });

const waiting = new Map();
let number = 0;
let rest = '';
browser.stdio[4].setEncoding('utf8').on('data', chunk => { // messages end with a zero byte
  const parts = (rest + chunk).split('\0');
  rest = parts.pop();
  for (const part of parts) {
    const message = JSON.parse(part);
    const answer = waiting.get(message.id);
    if (!answer) continue;
    waiting.delete(message.id);
    message.error ? answer.reject(new Error(message.error.message)) : answer.resolve(message.result);
  }
});

function send(method, params = {}, sessionId = undefined) {
  const id = ++number;
  browser.stdio[3].write(JSON.stringify({id, method, params, sessionId}) + '\0');
  return new Promise((resolve, reject) => waiting.set(id, {resolve, reject}));
}

try {
  const {targetId} = await send('Target.createTarget', {url: 'about:blank'});
  const {sessionId} = await send('Target.attachToTarget', {targetId, flatten: true});
  const page = (method, params) => send(method, params, sessionId);
  const value = async expression => (await page('Runtime.evaluate', {expression, returnByValue: true})).result.value;
  const size = height => page('Emulation.setDeviceMetricsOverride', {width: Number(width), height, deviceScaleFactor: 1, mobile: false});

  await size(HEIGHT);
  await page('Page.navigate', {url});
  let report = '';
  while (!(report = await value("document.getElementById('report')?.textContent ?? ''"))) await new Promise(done => setTimeout(done, 250));
  writeFileSync(reportFile, JSON.stringify(JSON.parse(report), null, 1) + '\n');

  await size(Number(height) || Math.ceil(await value('document.documentElement.scrollHeight')));
  await value('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))');
  await new Promise(done => setTimeout(done, 1000)); // graphs are drawn again after the page has grown
  const {data} = await page('Page.captureScreenshot', {format: 'png'});
  writeFileSync(picture, Buffer.from(data, 'base64'));
} finally {
  clearTimeout(watchdog);
  end();
}
