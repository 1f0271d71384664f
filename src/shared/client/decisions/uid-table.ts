import type { EntityUid } from "../../../../gen/gatehouse/policy/v1/entity_pb.ts";
import type { EntityName } from "./decision.ts";

/** Most uids that a stream's table holds (stream.proto). */
export const maxTableUids = 65_536;

/** The uids that a stream's server has been told of, by index. */
export class UidTable {
  readonly #limit: number;
  readonly #types = new Map<string, Map<string, number>>();
  #size = 0;
  #added: EntityUid[] = [];
  #isReset = false;

  constructor(limit: number = maxTableUids) {
    this.#limit = limit;
  }

  /** Makes room for as many new uids; the table begins anew when it could overflow. Call before the first of a frame. */
  reserve(uids: number): void {
    if (this.#size + uids <= this.#limit) return;
    this.#types.clear();
    this.#size = 0;
    this.#isReset = true;
  }

  indexOf({ type, id }: EntityName): number {
    let ids = this.#types.get(type);
    if (ids === undefined) {
      ids = new Map();
      this.#types.set(type, ids);
    }
    const known = ids.get(id);
    if (known !== undefined) return known;
    const index = this.#size++;
    ids.set(id, index);
    this.#added.push({ $typeName: "gatehouse.policy.v1.EntityUid", type, id });
    return index;
  }

  /** What the server must be told in this frame. */
  takeNews(): { readonly uids: EntityUid[]; readonly resetTable: boolean } {
    const news = { uids: this.#added, resetTable: this.#isReset };
    this.#added = [];
    this.#isReset = false;
    return news;
  }
}
