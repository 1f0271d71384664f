/** A value in JSON form. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Named values in Cedar's JSON form. */
export type Attributes = { readonly [key: string]: Json };

/** Who a credential belongs to. */
export interface Principal {
  /** Cedar entity type. */
  readonly type: "User" | "Client" | "Workload";
  readonly id: string;
  /** Names of the roles it holds. */
  readonly roles: readonly string[];
  readonly attributes: Attributes;
}
