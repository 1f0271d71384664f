import type { PolicyList } from "../../../gen/gatehouse/policy/v1/stream_pb.ts";
import { ServiceError } from "../../shared/service-error.ts";

/** Most lists that one table holds (stream.proto). */
const maxLists = 65_536;
/** Most characters of the lists that one answer adds, so that it can be sent. */
const maxAddedText = 262_144;

/** The lists of determining policies that a stream has told its caller of, by index; index 0 is the empty list. */
export class PolicyLists {
  readonly #policyIds: readonly string[];
  /** Index of the list of one policy, by the policy's index; 0 where there is none yet. */
  readonly #single: Uint32Array;
  readonly #several = new Map<string, number>();
  #size = 1;
  #added: PolicyList[] = [];
  #addedText = 0;
  #reset: boolean;

  /** `replaces` tells that the caller knows a table already, which this one takes the place of. */
  constructor(policyIds: readonly string[], replaces: boolean) {
    this.#policyIds = policyIds;
    this.#single = new Uint32Array(policyIds.length);
    this.#reset = replaces;
  }

  /** Whether another frame of `items` lists might not fit: then the table must be replaced first. */
  isFullFor(items: number): boolean {
    return this.#size + items > maxLists;
  }

  /**
   * Index of a list of policies, given by their indexes in ascending order.
   *
   * @throws ServiceError RESOURCE_EXHAUSTED when the answer has no room for more new lists.
   */
  indexOf(policies: readonly number[]): number {
    if (policies.length === 0) return 0;
    if (policies.length === 1) {
      const policy = policies[0] as number;
      const known = this.#single[policy] as number;
      if (known !== 0) return known;
      const index = this.#add(policies);
      this.#single[policy] = index;
      return index;
    }
    const key = policies.join();
    const known = this.#several.get(key);
    if (known !== undefined) return known;
    const index = this.#add(policies);
    this.#several.set(key, index);
    return index;
  }

  /** What the caller must be told before it can read the indexes answered so far. */
  takeNews(): { readonly added: PolicyList[]; readonly reset: boolean } {
    const news = { added: this.#added, reset: this.#reset };
    this.#added = [];
    this.#addedText = 0;
    this.#reset = false;
    return news;
  }

  #add(policies: readonly number[]): number {
    if (this.#addedText > maxAddedText) throw answerTooLarge();
    const policyIds = policies.map((index) => this.#policyIds[index] as string);
    for (const id of policyIds) this.#addedText += id.length;
    this.#added.push({ $typeName: "gatehouse.policy.v1.PolicyList", policyIds });
    this.#size += 1;
    return this.#size - 1;
  }
}

function answerTooLarge(): ServiceError {
  return new ServiceError("RESOURCE_EXHAUSTED", "The frame's items have too many different determining policies.", {
    reason: "RESPONSE_TOO_LARGE",
  });
}
