/** Reads samples of the Prometheus text format 0.0.4. */
export interface MetricsText {
  /** The value of the first sample of a metric that has these labels; undefined when there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
  /** Values of a metric by one of its labels. */
  all(name: string, label: string): readonly (readonly [string, number])[];
  /** A label of the first sample of a metric whose value is not 0. */
  label(name: string, label: string): string | undefined;
}

interface Sample {
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

export function parseMetrics(text: string): MetricsText {
  const samples = new Map<string, Sample[]>();
  for (const line of text.split("\n")) {
    const [, name, labels = "", value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (name === undefined) continue;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(
      ([, key = "", text = ""]): [string, string] => [
        key,
        text.replace(/\\(.)/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped)),
      ],
    );
    const sample = { labels: new Map(pairs), value: Number(value) };
    samples.set(name, [...(samples.get(name) ?? []), sample]);
  }
  return {
    value: (name, wanted = {}) =>
      samples.get(name)?.find(({ labels }) => Object.entries(wanted).every(([key, text]) => labels.get(key) === text))
        ?.value,
    all: (name, label) =>
      (samples.get(name) ?? []).map(({ labels, value }) => [labels.get(label) ?? "", value] as const),
    label: (name, label) =>
      samples
        .get(name)
        ?.find(({ value }) => value !== 0)
        ?.labels.get(label),
  };
}
