// Panel plug-ins: Grafana's own are not on npm, but the components they are made of are. Each one also reports what it shows.
import React from 'react';
import * as GD from '@grafana/data';
import * as UI from '@grafana/ui';
import {sceneUtils} from '@grafana/scenes';

export function registerPanels(theme, report) {
  const note = (props, type, facts) => {
    const shown = {title: props.title, type, state: props.data.state, frames: props.data.series.length, ...facts};
    if (JSON.stringify(shown) !== JSON.stringify(report.panels[props.id])) report.changed = performance.now();
    report.panels[props.id] = shown;
    for (const error of props.data.errors ?? []) report.errors.push(`${props.title}: ${error.message ?? JSON.stringify(error)}`);
  };

  // What Grafana says in place of a panel without data.
  const Nothing = props => <div style={{height: props.height, display: 'grid', placeItems: 'center', opacity: 0.7}}>
    {props.fieldConfig.defaults.noValue ?? 'No data'}</div>;

  const marked = new WeakSet();
  function marks(config) { // a dashed line for each mark, as Grafana draws annotations
    if (marked.has(config)) return;
    marked.add(config);
    config.addHook('draw', plot => {
      for (const {time, color} of report.marks) {
        const x = Math.round(plot.valToPos(time, 'x', true));
        if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
        plot.ctx.save();
        Object.assign(plot.ctx, {strokeStyle: theme.visualization.getColorByName(color), lineWidth: devicePixelRatio});
        plot.ctx.setLineDash([4, 4]);
        plot.ctx.beginPath();
        plot.ctx.moveTo(x, plot.bbox.top);
        plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
        plot.ctx.stroke();
        plot.ctx.restore();
      }
    });
  }

  function Graph(props) {
    const names = props.data.series.flatMap(frame => frame.fields.filter(field => field.type === 'number')
      .map(field => GD.getFieldDisplayName(field, frame, props.data.series)));
    const last = props.data.series.flatMap(frame => frame.fields.filter(field => field.type === 'number').map(field => {
      const value = [...field.values].reverse().find(each => each !== null && !Number.isNaN(each));
      return [GD.getFieldDisplayName(field, frame, props.data.series), GD.formattedValueToString(field.display(value))];
    }));
    note(props, 'timeseries', {names: names.slice(0, 20), last: Object.fromEntries(last.slice(0, 20))});
    if (!props.data.series.length) return <Nothing {...props} />;
    return <UI.TimeSeries frames={props.data.series} structureRev={props.data.structureRev} timeRange={props.timeRange}
      timeZone={props.timeZone} width={props.width} height={props.height} legend={props.options.legend}
      tweakScale={scale => scale} tweakAxis={axis => axis} options={props.options}>{config => { marks(config); return null; }}</UI.TimeSeries>;
  }

  function Stat(props) {
    const values = GD.getFieldDisplayValues({fieldConfig: props.fieldConfig, reduceOptions: props.options.reduceOptions,
      replaceVariables: props.replaceVariables, theme, data: props.data.series, timeZone: props.timeZone, sparkline: false});
    note(props, 'stat', {display: values.map(({display}) => [display.title, GD.formattedValueToString(display), display.color])});
    const gap = 4;
    const width = (props.width - gap * (values.length - 1)) / Math.max(1, values.length);
    return <div style={{display: 'flex', gap}}>{values.map((value, index) => <UI.BigValue key={index} value={value.display}
      width={width} height={props.height} theme={theme} colorMode={props.options.colorMode} graphMode={props.options.graphMode}
      justifyMode={props.options.justifyMode} textMode={props.options.textMode}
      text={props.options.text} />)}</div>;
  }

  function Table(props) {
    const frame = props.data.series[0];
    const text = (field, row) => GD.formattedValueToString((field.display ?? GD.getDisplayProcessor({field, theme}))(field.values[row]));
    const shown = frame?.fields.filter(field => field.config.custom?.hidden !== true) ?? [];
    const names = shown.map(field => GD.getFieldDisplayName(field, frame));
    const rows = [...Array(frame?.length ?? 0).keys()].map(row => Object.fromEntries(shown.map((field, place) => [names[place], text(field, row)])));
    const links = frame?.length ? Object.fromEntries(shown.flatMap((field, place) =>
      field.config.links?.length ? [[names[place], field.getLinks?.({valueRowIndex: 0}).map(each => each.href)]] : [])) : {};
    note(props, 'table', {columns: names, rows, links});
    if (!frame?.length) return <Nothing {...props} />;
    return <UI.Table data={frame} width={props.width} height={props.height} timeRange={props.timeRange}
      initialSortBy={props.options.sortBy} enableSharedCrosshair={false} ariaLabel={props.title} />;
  }

  const custom = {drawStyle: 'line', lineWidth: 1, fillOpacity: 0, showPoints: 'auto', spanNulls: false, lineInterpolation: 'linear',
    gradientMode: 'none', scaleDistribution: {type: 'linear'}, axisLabel: '', axisSoftMax: undefined, stacking: undefined, thresholdsStyle: undefined, lineStyle: undefined,
    axisPlacement: undefined, align: undefined, cellOptions: undefined, width: undefined, hideFrom: undefined};
  const option = ([id, defaultValue]) => ({id, path: id, name: id, editor: () => null, override: () => null,
    process: value => value, shouldApply: () => true, defaultValue});
  const register = (pluginId, component, standardOptions) => sceneUtils.registerRuntimePanelPlugin({pluginId,
    plugin: new GD.PanelPlugin(component).useFieldConfig({standardOptions,
      useCustomConfig: builder => Object.entries(custom).forEach(entry => builder.addCustomEditor(option(entry)))})});
  register('timeseries', Graph, {color: {defaultValue: {mode: 'palette-classic'}}});
  register('stat', Stat);
  register('table', Table);
}
