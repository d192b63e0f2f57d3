/** Processes that train one network together. */
import { type OptionError, Options } from "@spikeroute/core"
import { Context, Data, Effect, Layer, Schema, type Scope } from "effect"

/** Processes cannot communicate, or no longer. */
export class CommunicatorError extends Data.Error<{
  /**
   * - `compiler`: MPI's compiler `mpicc` is missing, or fails.
   * - `launcher`: the process was not started by `mpirun`, or by one of another implementation of MPI than `mpicc` belongs to.
   * - `versions`: processes run different implementations or versions of MPI.
   * - `memory`: there is no memory for what is exchanged, or it is too large for one exchange.
   * - `lost`: MPI reports an error, as that another process is gone.
   */
  readonly kind: "compiler" | "launcher" | "versions" | "memory" | "lost"
  readonly reason: string
}> {
  readonly _tag = "CommunicatorError"
  override readonly name = "CommunicatorError"

  override get message(): string {
    return this.reason
  }
}

/** Rows of numbers, in memory that is exchanged again and again. */
export interface Reduction {
  /** This process's rows: set all their elements before each sum. */
  readonly rows: ReadonlyArray<Float32Array>
  /**
   * Adds the rows of all processes element by element, from 0 on, in the order of ranks and of each one's rows. Every process finds the same
   * bits in its first row, which is returned; it stays as it is until that row is set again.
   */
  readonly sum: Effect.Effect<Float32Array, CommunicatorError>
}

/** What a process asks of the others. All processes ask for the same things in the same order. */
export interface CommunicatorService {
  /** For people: the implementation and its version. */
  readonly description: string
  /** This process's number, counted from 0, and how many there are. */
  readonly rank: number
  readonly size: number
  /** How many of them run on this machine, to share its processors. */
  readonly neighbours: number
  /** Takes memory for `count` rows of `length` numbers of each process, until the scope closes. */
  readonly reduction: (
    length: number,
    count: number,
  ) => Effect.Effect<Reduction, CommunicatorError | OptionError, Scope.Scope>
  /** What every process gives, by rank, for all of them. It returns once all processes have asked: a barrier, with nothing to give. */
  readonly gather: (bytes: Uint8Array) => Effect.Effect<ReadonlyArray<Uint8Array>, CommunicatorError>
}

const key = "@spikeroute/distributed/Communicator"
const CommunicatorBase: Context.ServiceClass<Communicator, typeof key, CommunicatorService> = Context.Service<
  Communicator,
  CommunicatorService
>()(key)

/** The processes that train together, as a service: `local` is this process alone, `mpi` those that `mpirun` started. */
export class Communicator extends CommunicatorBase {}

const RowsSchema = /* @__PURE__ */ Schema.Struct({
  length: Options.whole(0, 2 ** 31 - 1),
  count: Options.whole(1, 2 ** 20),
})

/** Fails for rows that no process can have. */
export const checkRows = (length: number, count: number): Effect.Effect<unknown, OptionError> =>
  Options.check("a reduction", RowsSchema, { length, count })

/** This process alone. */
export const local: Layer.Layer<Communicator> = /* @__PURE__ */ Layer.succeed(Communicator, {
  description: "one process",
  rank: 0,
  size: 1,
  neighbours: 1,
  reduction: (length, count) =>
    Effect.map(checkRows(length, count), () => {
      const rows = Array.from({ length: count }, () => new Float32Array(length))
      const [first, ...others] = rows as [Float32Array, ...ReadonlyArray<Float32Array>]
      const sum = Effect.sync(() => {
        for (let i = 0; i < length; i++) first[i]! += 0
        for (const row of others) for (let i = 0; i < length; i++) first[i]! += row[i]!
        return first
      })
      return { rows, sum }
    }),
  gather: (bytes) => Effect.succeed([bytes]),
})

/**
 * Sums of numbers over all processes, in the order of ranks, as float64.
 *
 * @example
 * const [hits] = yield* Distributed.total(yield* Distributed.Communicator, [3]) // 3, of one process
 */
export const total = (
  communicator: CommunicatorService,
  values: ReadonlyArray<number>,
): Effect.Effect<ReadonlyArray<number>, CommunicatorError> => {
  Options.argument(communicator, ["a communicator", Options.has("gather")], "total", "communicator")
  Options.argument(values, ["a list of numbers", Array.isArray], "total", "values")
  return Effect.map(communicator.gather(new Uint8Array(Float64Array.from(values).buffer)), (all) => {
    const rows = all.map((bytes) => new Float64Array(bytes.slice().buffer))
    return values.map((_, i) => rows.reduce((sum, row) => sum + (row[i] as number), 0))
  })
}
