// A data source for @grafana/scenes that asks Prometheus' HTTP API from the browser (Prometheus allows any origin).
// It does what Grafana's server does otherwise: $__rate_interval, tables of instant queries, legends.
import {toDataFrame, LoadingState} from '@grafana/data';
import {RuntimeDataSource, sceneGraph} from '@grafana/scenes';
import {from} from 'rxjs';

const number = text => text === 'NaN' ? NaN : text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text);

// Several chosen values become (a|b) with regular expression signs escaped, as Grafana's own data source does.
const escaped = value => value.replace(/[.*+?^${}()|[\]\\]/g, '\\\\$&');
const format = value => Array.isArray(value) ? (value.length > 1 ? `(${value.map(escaped).join('|')})` : value[0]) : value;

export class Prometheus extends RuntimeDataSource {
  constructor(url, scrapeSeconds, report) {
    super('prometheus', 'prom');
    Object.assign(this, {url, scrapeSeconds, report});
  }

  async api(path, parameters) {
    const answer = await (await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters)}`)).json();
    if (answer.status !== 'success') throw new Error(answer.error);
    return answer.data;
  }

  query(request) {
    return from(this.run(request));
  }

  async run(request) {
    const scene = request.scopedVars.__sceneObject?.value?.valueOf?.();
    const data = [];
    for (const target of request.targets) {
      const step = Math.max(this.scrapeSeconds, Math.round(request.intervalMs / 1000));
      const rate = Math.max(step + this.scrapeSeconds, 4 * this.scrapeSeconds);
      const range = Math.round((request.range.to - request.range.from) / 1000);
      const timed = target.expr.replaceAll('$__rate_interval', `${rate}s`).replaceAll('$__interval', `${step}s`)
        .replaceAll('$__range', `${range}s`);
      const expr = sceneGraph.interpolate(scene, timed, request.scopedVars, format);
      const record = {refId: target.refId, expr, instant: !!target.instant};
      this.report.queries.push(record);
      try {
        const answer = target.instant
          ? await this.api('query', {query: expr, time: request.range.to / 1000})
          : await this.api('query_range', {query: expr, step, // whole steps, as Grafana asks
              start: Math.floor(request.range.from / 1000 / step) * step, end: Math.floor(request.range.to / 1000 / step) * step});
        record.series = answer.result.length;
        const several = request.targets.length > 1;
        data.push(...(target.format === 'table' ? [this.table(target, answer.result, several, request.range.to.valueOf())] : this.series(target, answer)));
      } catch (error) {
        record.error = String(error.message);
        this.report.errors.push(`query ${expr}: ${error.message}`);
        throw error;
      }
    }
    return {data, state: LoadingState.Done};
  }

  // The marks of all graphs: what Grafana makes of a dashboard's annotations. Either the value is the moment in milliseconds, one mark
  // for each such moment, or a value of 1 means that something holds, one mark where it begins.
  async mark(annotations, scene) {
    const {from: begin, to: end} = sceneGraph.getTimeRange(scene).state.value;
    const start = Math.floor(begin / 1000);
    for (const each of annotations) {
      const expr = sceneGraph.interpolate(scene, each.expr, {}, format);
      this.report.queries.push({annotation: each.name, expr});
      try {
        const answer = await this.api('query_range', {query: expr, start, end: Math.ceil(end / 1000), step: this.scrapeSeconds});
        for (const {metric, values} of answer.result) {
          const times = each.useValueForTime ? new Set(values.map(([, value]) => Math.floor(number(value))))
            : new Set(values.filter(([time, value], place) => number(value) === 1
              && !(place && values[place - 1][0] === time - this.scrapeSeconds)).map(([time]) => time * 1000));
          const title = each.titleFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => metric[label] ?? '');
          for (const time of times) if (time >= begin) this.report.marks.push({name: each.name, time, title, color: each.iconColor});
        }
      } catch (error) {
        this.report.errors.push(`annotation ${each.name}: ${error.message}`);
      }
    }
  }

  table(target, result, several, now) { // one time for all frames, or they could not be merged
    const labels = [...new Set(result.flatMap(each => Object.keys(each.metric)))].sort();
    return toDataFrame({refId: target.refId, fields: [
      {name: 'Time', type: 'time', values: result.map(() => now)},
      ...labels.map(name => ({name, type: 'string', values: result.map(each => each.metric[name])})),
      {name: several ? `Value #${target.refId}` : 'Value', type: 'number', values: result.map(each => number(each.value[1]))},
    ]});
  }

  series(target, answer) {
    const result = answer.resultType === 'scalar' ? [{metric: {}, value: answer.result}] : answer.result;
    return result.map(each => {
      const points = each.values ?? [each.value];
      const legend = target.legendFormat?.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => each.metric[label] ?? '');
      return toDataFrame({refId: target.refId, name: legend || undefined, fields: [
        {name: 'Time', type: 'time', values: points.map(point => point[0] * 1000)},
        {name: 'Value', type: 'number', labels: each.metric, config: legend ? {displayNameFromDS: legend} : {},
          values: points.map(point => number(point[1]))},
      ]});
    });
  }

  async metricFindQuery(query, options) {
    const text = typeof query === 'string' ? query : query.query;
    const scene = options?.scopedVars?.__sceneObject?.value?.valueOf?.();
    const expr = scene ? sceneGraph.interpolate(scene, text, options.scopedVars, format) : text;
    this.report.queries.push({variable: expr});
    const match = expr.match(/^label_values\((?:(.*),\s*)?(\w+)\)$/s);
    if (!match) throw new Error(`unsupported variable query ${expr}`);
    const values = await this.api(`label/${match[2]}/values`, match[1] ? {'match[]': match[1]} : {});
    return values.map(value => ({text: value}));
  }
}
