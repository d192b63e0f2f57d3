/**
 * Turns of the requests at the network, which does one thing at a time. Predictions and learning alternate, and each lane has a bounded
 * number of places, so a sample to learn waits for one prediction, however many are queued.
 */
import { Refusal } from "./requests.ts"

const lanes = ["predict", "learn"] as const
export type Lane = (typeof lanes)[number]

export class Turns {
  readonly #taken = { predict: 0, learn: 0 }
  readonly #waiting: Readonly<Record<Lane, Array<() => void>>> = { predict: [], learn: [] }
  #last: Lane = "predict"
  #busy = false

  /** @param places concurrent requests per lane; further ones are told to try again */
  constructor(readonly places: number) {}

  /** Occupies a place of the lane while `work` runs. */
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

  /** Resolves when it is the caller's turn. The turn lasts until the caller next waits for anything. */
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
    // First let requests in that have arrived meanwhile: otherwise they would queue in the runtime, where nothing limits their number.
    setTimeout(() => this.#advance(), 0)
  }
}
