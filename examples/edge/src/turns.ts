/**
 * Turns at the network, which does one thing at a time. Predictions and learning take turns, and each has a bounded number of places:
 * however many predictions are asked for, a sample to learn waits for one of them, not for all.
 */
import { Refusal } from "./requests.ts"

const lanes = ["predict", "learn"] as const
export type Lane = (typeof lanes)[number]

export class Turns {
  readonly #taken = { predict: 0, learn: 0 }
  readonly #waiting: Readonly<Record<Lane, Array<() => void>>> = { predict: [], learn: [] }
  #last: Lane = "predict"
  #busy = false

  /** @param places requests of each lane that may be under way at once; more are told to come again */
  constructor(readonly places: number) {}

  /** Holds a place of the lane while `work` lasts. */
  async within<A>(lane: Lane, work: () => Promise<A>): Promise<A> {
    if (this.#taken[lane] >= this.places)
      throw new Refusal(503, `${this.places} requests like this are waiting already; try again`, { "retry-after": "1" })
    this.#taken[lane]++
    try {
      return await work()
    } finally {
      this.#taken[lane]--
    }
  }

  /** Resolves when it is the caller's turn, which lasts until the caller waits for something else. */
  next(lane: Lane): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting[lane].push(resolve)
      if (!this.#busy) this.#advance()
    })
  }

  #advance(): void {
    const lane = lanes.find((each) => each !== this.#last && this.#waiting[each].length > 0) ?? this.#last
    const begin = this.#waiting[lane].shift()
    this.#busy = begin !== undefined
    if (begin === undefined) return
    this.#last = lane
    begin()
    // Requests that arrived meanwhile are heard before the next turn: otherwise they would queue in the runtime, where nothing bounds them.
    setTimeout(() => this.#advance(), 0)
  }
}
