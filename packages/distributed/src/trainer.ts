/**
 * Data-parallel training: each process trains its share of every batch, and gradients are summed once per batch, between the last backward
 * segment and the update. Activations are never exchanged, for any number of time steps.
 *
 * A batch is divided into micro-batches, which are assigned to the processes in order. Their gradients and metrics are summed in that order,
 * and random numbers are keyed by micro-batch, so the result is bit-identical for any number of processes, and to that of one process with
 * the same number of micro-batches (Train.make with `microBatches`).
 *
 * Batch norm computes its statistics per micro-batch (ghost batch normalisation: Hoffer et al., "Train longer, generalize better", NeurIPS
 * 2017). All micro-batches of a batch start from the same running statistics, which become the mean of their updates.
 */
import {
  Backend,
  BackendError,
  type BackendService,
  type Executable,
  type Graph,
  type Key,
  OptionError,
  Options,
  type Policy,
  Program,
  Shape,
  Train,
} from "@spikeroute/core"
import { firstNonFinite } from "@spikeroute/core/values"
import { Effect, Schema, type Scope } from "effect"
import { Communicator, type CommunicatorError, type CommunicatorService } from "./communicator.ts"
import { isExchanged } from "./cost.ts"

/** Offsets of consecutive buffers within a row. */
const placesOf = (buffers: ReadonlyArray<Program.Buffer>) => {
  let to = 0
  return buffers.map(({ name, kind, shape }) => {
    const from = to
    to += Shape.size(shape)
    return { name, kind, from, to }
  })
}

/** Wraps an executable so that its gradients, metrics and running statistics are combined over all processes after each batch. */
const exchanging = (
  executable: Executable,
  { description, size, reduction }: CommunicatorService,
): Effect.Effect<Executable, BackendError, Scope.Scope> =>
  Effect.gen(function* () {
    const { program } = executable
    const { microBatches, buffers } = program
    // Gradients come first.
    const exchanged = buffers.filter(isExchanged)
    const places = placesOf([
      ...exchanged.filter(({ kind }) => kind === "gradient"),
      ...exchanged.filter(({ kind }) => kind !== "gradient"),
    ])
    const weights = places.findLast(({ kind }) => kind === "gradient")?.to ?? 0
    const statistics = places.filter(({ kind }) => kind === "statistic")
    const toBackendError = Effect.mapError(
      (error: CommunicatorError | OptionError) => new BackendError({ backend: description, reason: error.message }),
    )
    const { rows, sum } = yield* toBackendError(reduction(places.at(-1)?.to ?? 0, microBatches))

    const read = Effect.forEach(statistics, ({ name }) => executable.read(name), { concurrency: "unbounded" })
    /** The next micro-batch, the statistics before the first, and whether the last batch's gradients are finite. */
    let part = 0
    let before: ReadonlyArray<Float32Array> = []
    let areFinite = true

    const exchange = Effect.gen(function* () {
      const row = yield* toBackendError(sum)
      areFinite = firstNonFinite(row.subarray(0, weights)) < 0
      for (const { from, to } of statistics) for (let i = from; i < to; i++) row[i]! /= size * microBatches
      for (const { name, from, to } of places) yield* executable.write(name, row.subarray(from, to))
    })

    const run: Executable["run"] = (calls, frames) => {
      if (!calls.some(({ segment }) => segment === "end")) return executable.run(calls, frames)
      return Effect.gen(function* () {
        if (part === 0) before = yield* read
        else for (const [i, { name }] of statistics.entries()) yield* executable.write(name, before[i] as Float32Array)
        // Gradients are kept per micro-batch, so that they can be summed in the order of all processes' micro-batches.
        yield* executable.run(part === 0 ? calls : [{ segment: "clear", t: 0 }, ...calls], frames)
        const row = rows[part] as Float32Array
        for (const { name, from } of places) row.set(yield* executable.read(name), from)
        part++
        if (part < microBatches) return
        part = 0
        yield* exchange
      }).pipe(
        Effect.onError(() =>
          Effect.sync(() => {
            part = 0
          }),
        ),
      )
    }
    return {
      ...executable,
      run,
      // Metrics are available after the exchange. A batch with a non-finite loss is also exchanged, so that all processes refuse it.
      read: (name, t) =>
        part > 0 && name === Program.bufferNames.metrics
          ? Effect.map(executable.read(name, t), (values) => values.fill(0))
          : executable.read(name, t),
      gradientsAreFinite: Effect.sync(() => areFinite),
    }
  })

/** Fails for options that cannot be distributed over processes. */
const check = (
  { batchSize, loss }: DistributedOptions,
  microBatches: number,
  size: number,
): Effect.Effect<void, OptionError> => {
  const owner = "the distributed trainer"
  const refuse = (option: string, value: unknown, expected: string) =>
    Effect.fail(new OptionError({ owner, option, value, expected }))
  if (!Number.isInteger(microBatches) || microBatches < 1 || microBatches % size !== 0)
    return refuse("microBatches", microBatches, `a multiple of ${size}, the number of processes`)
  if (!Number.isInteger(batchSize) || batchSize % microBatches !== 0)
    return refuse("batchSize", batchSize, `a multiple of ${microBatches}, the number of micro-batches`)
  return Array.isArray(loss)
    ? refuse("loss", loss, "{ mix, target }: terms of a loss are functions of whole batches")
    : Effect.void
}

const KeySchema = /* @__PURE__ */ Schema.Struct({ key: Options.RandomKey })

export interface DistributedOptions extends Omit<Program.TrainingOptions, "share"> {
  readonly key: Key.Key
}

/**
 * Makes a trainer for this process's share. All processes must call it, and `step` and `differentiate`, with the same arguments except for
 * the samples: process r of n passes the r-th share of each batch, `batchSize`/n samples, and receives their outputs. Losses, firing rates,
 * gradients and updates are those of the whole batch, bit-identical on all processes. `microBatches` must be a multiple of the number of
 * processes, which is its default. Weights are equal on all processes, so any of them can save them.
 *
 * If a step fails on one process, the others are not notified and wait for it: terminate the process in that case.
 *
 * @example
 * const trainer = yield* Distributed.makeTrainer(graph, Policy.sltt, options)
 * const batch = { inputs: new Float32Array(8 * 34 * 34 * 2), labels: [3] }
 * const { loss } = yield* trainer.step(batch, { update: 1, learningRate: 0.01 })
 */
export const makeTrainer = (
  graph: Graph.Graph,
  policy: Policy.Policy,
  options: DistributedOptions,
): Effect.Effect<Train.Trainer, Effect.Error<ReturnType<typeof Train.make>>, Backend | Communicator | Scope.Scope> =>
  Effect.gen(function* () {
    yield* Options.check("the distributed trainer", KeySchema, { key: options?.key })
    const communicator = yield* Communicator
    const { rank: index, size: count } = communicator
    const { microBatches = count, ...training } = options
    yield* check(options, microBatches, count)
    const backend = yield* Backend
    const service: BackendService = {
      ...backend,
      prepare: (program) =>
        Effect.flatMap(backend.prepare(program), (executable) => exchanging(executable, communicator)),
    }
    const own = {
      ...training,
      batchSize: options.batchSize / count,
      microBatches: microBatches / count,
      share: { index, count },
    }
    return yield* Train.make(graph, policy, own).pipe(Effect.provideService(Backend, service))
  })
