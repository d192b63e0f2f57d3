/** Communication between processes that train one network together. */
import { type OptionError, Options } from "@spikeroute/core"
import { Context, Data, Effect, Layer, Schema, type Scope } from "effect"

/** Communication between processes failed. */
export class CommunicatorError extends Data.Error<{
  /**
   * - `compiler`: MPI's compiler `mpicc` is missing or fails.
   * - `launcher`: the process was not started by `mpirun`, or `mpirun` belongs to a different MPI implementation than `mpicc`.
   * - `versions`: processes run different implementations or versions of MPI.
   * - `memory`: memory for the exchange cannot be allocated, or the data are too large for one exchange.
   * - `lost`: MPI reports an error, for example that another process has terminated.
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

/** Rows of numbers in reusable memory, summed over all processes. */
export interface Reduction {
  /** This process's rows: set all their elements before each sum. */
  readonly rows: ReadonlyArray<Float32Array>
  /**
   * Adds the rows of all processes to 0, element by element, in order of rank, then row. The result is written to the first row, which is
   * returned, is bit-identical on every process, and stays valid until that row is set again.
   */
  readonly sum: Effect.Effect<Float32Array, CommunicatorError>
}

/** Collective operations. All processes must call the same operations in the same order. */
export interface CommunicatorService {
  /** The implementation and its version, for display. */
  readonly description: string
  /** This process's rank, from 0, and the number of processes. */
  readonly rank: number
  readonly size: number
  /** Number of processes on this machine, which share its processors. */
  readonly neighbours: number
  /** Allocates `count` rows of `length` numbers on each process, until the scope closes. */
  readonly reduction: (
    length: number,
    count: number,
  ) => Effect.Effect<Reduction, CommunicatorError | OptionError, Scope.Scope>
  /** Gathers the bytes of all processes, by rank, on every process. Completes once all have called it; with empty bytes it is a barrier. */
  readonly gather: (bytes: Uint8Array) => Effect.Effect<ReadonlyArray<Uint8Array>, CommunicatorError>
}

const key = "@spikeroute/distributed/Communicator"
const CommunicatorBase: Context.ServiceClass<Communicator, typeof key, CommunicatorService> = Context.Service<
  Communicator,
  CommunicatorService
>()(key)

/** Service for the processes that train together: `local` is a single process, `mpi` the processes started by `mpirun`. */
export class Communicator extends CommunicatorBase {}

const RowsSchema = /* @__PURE__ */ Schema.Struct({
  length: Options.whole(0, 2 ** 31 - 1),
  count: Options.whole(1, 2 ** 20),
})

/** Fails if the number or length of rows is out of range. */
export const checkRows = (length: number, count: number): Effect.Effect<unknown, OptionError> =>
  Options.check("a reduction", RowsSchema, { length, count })

/** A single process. */
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
 * Sums numbers over all processes, in order of rank, in float64.
 *
 * @example
 * const [hits] = yield* Distributed.total(yield* Distributed.Communicator, [3]) // 3 with one process
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
