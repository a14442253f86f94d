// A dashboard as JSON, in the words of Grafana's own types. In JSON an enum is its text, and what a Prometheus asks for its marks is in
// no type of Grafana's, because every data source adds keys of its own.
import type {AnnotationQuery, Dashboard} from '@grafana/schema';

type Plain<T> = T extends string ? `${T}` : T extends object ? {[Key in keyof T]: Plain<T[Key]>} : T;

type Mark = Plain<AnnotationQuery> & {expr: string; tagKeys: string; textFormat: string; titleFormat: string; useValueForTime: boolean};

export type OurDashboard = Omit<Plain<Dashboard>, 'annotations'> & {annotations: {list: Mark[]}};
