// Draws a dashboard's JSON with Grafana's own front-end libraries, without a Grafana server.
// Query string: prom (URL of Prometheus), theme, from (e.g. now-5m), scrape (seconds), var-NAME (the value of a variable),
// patience (ms until the report is written though not all is drawn). Folded rows are unfolded: what is drawn is all there is.
// The report, in <script type="application/json" id="report">, says per panel what it shows, where its links lead, the marks in
// the graphs, every query, every error.
import React from 'react';
import {createRoot} from 'react-dom/client';
import {MemoryRouter} from 'react-router-dom';
import {from} from 'rxjs';
import {map} from 'rxjs/operators';
import * as GD from '@grafana/data';
import * as UI from '@grafana/ui';
import * as RT from '@grafana/runtime';
import * as S from '@grafana/scenes';
import {Prometheus} from './prometheus.js';
import {registerPanels} from './panels.jsx';

const wish = new URLSearchParams(location.search);
const report = {errors: [], queries: [], panels: {}, links: [], marks: [], changed: 0};
addEventListener('error', event => report.errors.push(String(event.message)));
addEventListener('unhandledrejection', event => report.errors.push(`rejected: ${event.reason?.stack || event.reason}`));

const theme = GD.createTheme({colors: {mode: wish.get('theme') || 'dark'}});
document.body.style.background = theme.colors.background.canvas;
RT.config.theme2 = theme;

// What the host application registers in a real Grafana.
const standard = (path, process = GD.numberOverrideProcessor, defaultValue) => ({id: path, path, name: path, editor: () => null,
  override: () => null, process, settings: {}, shouldApply: () => true, defaultValue});
const asIs = value => value;
GD.standardEditorsRegistry.setInit(() => []);
GD.standardFieldConfigEditorRegistry.setInit(() => [standard('unit', GD.unitOverrideProcessor), standard('min'), standard('max'),
  standard('decimals'), standard('displayName', GD.displayNameOverrideProcessor), standard('color', asIs, {mode: 'thresholds'}),
  standard('noValue', GD.stringOverrideProcessor), standard('links', asIs), standard('mappings', GD.valueMappingsOverrideProcessor),
  standard('thresholds', GD.thresholdsOverrideProcessor, {mode: 'absolute', steps: [{value: -Infinity, color: 'green'}]}),
  standard('filterable', asIs)]);
const transformers = new Map(Object.values(GD.standardTransformers).map(each => [each.id, each])); // one is there twice, under its old name
GD.standardTransformersRegistry.setInit(() => [...transformers.values()].map(each =>
  ({id: each.id, name: each.name, transformation: async () => each, editor: () => null})));

const prom = new Prometheus(wish.get('prom') || 'http://127.0.0.1:9090', Number(wish.get('scrape') || 1), report);
const facts = {uid: 'prom', name: 'Prometheus', type: 'prometheus', meta: {id: 'prometheus', info: {logos: {}}}};
S.sceneUtils.registerRuntimeDataSource({dataSource: prom});
RT.setDataSourceSrv({get: async () => prom, getList: () => [facts], getInstanceSettings: () => facts});
RT.setPluginImportUtils({importPanelPlugin: async id => { report.errors.push(`no panel plug-in ${id}`); throw new Error(id); },
  getPanelPluginFromCache: () => undefined});
RT.setTemplateSrv({replace: asIs, getVariables: () => [], containsTemplate: () => false, updateTimeRange() {}});
RT.setAppEvents(new GD.EventBusSrv());
RT.setRunRequest((source, request) => from(source.query(request)).pipe(map(answer => ({state: answer.state, series: answer.data,
  annotations: [], request, timeRange: request.range}))));
registerPanels(theme, report);
GD.locationUtil.initialize({config: {appSubUrl: ''}, getVariablesUrlParams: () => ({}), getTimeRangeForUrl: () => ({})});

const variable = each => each.type === 'datasource'
  ? new S.DataSourceVariable({name: each.name, label: each.label, pluginId: each.query, value: 'prom', text: 'Prometheus'})
  : new S.QueryVariable({name: each.name, label: each.label, query: each.query, datasource: {uid: '${datasource}'},
      isMulti: each.multi, includeAll: each.includeAll, allValue: each.allValue, sort: each.sort, refresh: each.refresh,
      value: wish.get(`var-${each.name}`) ?? each.current?.value ?? '', text: wish.get(`var-${each.name}`) ?? each.current?.text ?? ''});

// Grafana writes the open lower end of thresholds as null in JSON and reads it as minus infinity.
const thresholds = defaults => ({...defaults, thresholds: {...defaults.thresholds,
  steps: defaults.thresholds.steps.map(step => ({...step, value: step.value ?? -Infinity}))}});

const panel = each => new S.SceneGridItem({x: each.gridPos.x, y: each.gridPos.y, width: each.gridPos.w, height: each.gridPos.h,
  body: new S.VizPanel({key: `panel-${each.id}`, pluginId: each.type, title: each.title, description: each.description,
    options: each.options, fieldConfig: {...each.fieldConfig, defaults: thresholds(each.fieldConfig.defaults)},
    $data: new S.SceneDataTransformer({transformations: each.transformations ?? [],
      $data: new S.SceneQueryRunner({datasource: each.datasource, queries: each.targets, maxDataPoints: each.maxDataPoints ?? 300, minInterval: each.interval})})})});

const row = each => new S.SceneGridRow({title: each.title, isCollapsed: false, y: each.gridPos.y,
  children: (each.panels ?? []).map(panel)});

const dashboard = await (await fetch('dashboard.json')).json();
const scene = new S.EmbeddedScene({
  $timeRange: new S.SceneTimeRange({from: wish.get('from') || dashboard.time.from, to: dashboard.time.to, timeZone: 'utc'}),
  $variables: new S.SceneVariableSet({variables: dashboard.templating.list.map(variable)}),
  controls: [new S.VariableValueSelectors({}), new S.SceneTimePicker({})],
  body: new S.SceneGridLayout({isLazy: false, children: dashboard.panels.map(each => each.type === 'row' ? row(each) : panel(each))}),
});

// The dashboard's own links, as Grafana shows them in a line above the panels.
function Links() {
  const [links, set] = React.useState([]);
  React.useEffect(() => { // once the variables have their values
    const timer = setTimeout(() => {
      report.links = dashboard.links.map(each => ({title: each.title, url: S.sceneGraph.interpolate(scene, each.url)}));
      set(report.links);
    }, 2000);
    return () => clearTimeout(timer);
  }, []);
  return <div style={{display: 'flex', gap: 8, justifyContent: 'flex-end', minHeight: 32}}>{links.map(each =>
    <UI.LinkButton key={each.title} href={each.url} size="sm" variant="secondary">{each.title}</UI.LinkButton>)}</div>;
}

await prom.mark(dashboard.annotations.list.filter(each => each.enable), scene);

createRoot(document.getElementById('root')).render(
  <GD.ThemeContext.Provider value={theme}><UI.GlobalStyles hackNoBackdropBlur /><MemoryRouter>
    <div style={{padding: '8px 24px 20px 8px'}}><Links /><scene.Component model={scene} /></div>
  </MemoryRouter></GD.ThemeContext.Provider>);

// The report is there when every panel has been drawn and has been quiet for a while; a page that never comes to rest says so.
const expected = dashboard.panels.flatMap(each => each.type === 'row' ? each.panels ?? [] : [each]).map(each => String(each.id));
const begin = performance.now();
const timer = setInterval(() => {
  const missing = expected.filter(key => !['Done', 'Error'].includes(report.panels[key]?.state));
  const late = performance.now() - begin > Number(wish.get('patience') || 90000);
  if ((missing.length || !report.links.length || performance.now() - report.changed < 1500) && !late) return;
  if (missing.length) report.errors.push(`not drawn in time: ${missing.join(', ')}`);
  clearInterval(timer);
  const script = document.createElement('script');
  Object.assign(script, {type: 'application/json', id: 'report', textContent: JSON.stringify({...report, changed: undefined})});
  document.body.append(script);
}, 250);
