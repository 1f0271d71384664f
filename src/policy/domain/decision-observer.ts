/** Is told of each decision, after it was made and without any influence on it. */
export interface DecisionObserver {
  /** `failures` is how many policies failed. */
  decided(allow: boolean, indeterminate: boolean, failures: number): void;
}
