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
      const timed = target.expr.replaceAll('$__rate_interval', `${rate}s`).replaceAll('$__interval', `${step}s`);
      const expr = sceneGraph.interpolate(scene, timed, request.scopedVars, format);
      const record = {refId: target.refId, expr, instant: !!target.instant};
      this.report.queries.push(record);
      try {
        const answer = target.instant
          ? await this.api('query', {query: expr, time: request.range.to / 1000})
          : await this.api('query_range', {query: expr, start: Math.floor(request.range.from / 1000),
              end: Math.ceil(request.range.to / 1000), step});
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
