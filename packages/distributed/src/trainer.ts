/**
 * Data-parallel training: each process trains its share of every batch, and gradients are summed once a batch, between the last backward
 * segment and the update. No activation is exchanged, whatever the number of time steps.
 *
 * A batch is cut into micro-batches, which are dealt to the processes in their order. Their gradients and metrics are summed in that order, and
 * what is drawn is keyed by the micro-batch, so the bits do not depend on how many processes there are: they are those of one process that
 * takes as many micro-batches (Train.make with `microBatches`).
 *
 * Batch norm takes its statistics over each micro-batch (ghost batch normalisation: Hoffer et al., "Train longer, generalize better", NeurIPS
 * 2017). Running statistics begin every micro-batch of a batch alike, and become the mean of what they come to.
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

/** Buffers one after the other, as a row has them. */
const placesOf = (buffers: ReadonlyArray<Program.Buffer>) => {
  let to = 0
  return buffers.map(({ name, kind, shape }) => {
    const from = to
    to += Shape.size(shape)
    return { name, kind, from, to }
  })
}

/** An executable whose gradients, metrics and running statistics are those of all processes once a batch has run. */
const exchanging = (
  executable: Executable,
  { description, size, reduction }: CommunicatorService,
): Effect.Effect<Executable, BackendError, Scope.Scope> =>
  Effect.gen(function* () {
    const { program } = executable
    const { microBatches, buffers } = program
    // Gradients first.
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
    /** The micro-batch that is next, the statistics before the first, and whether the last batch's gradients are finite. */
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
        // Each micro-batch by itself: the order of the sum is that of all processes' micro-batches.
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
      // Metrics are known once all processes' are: a batch that comes to no finite loss is exchanged too, so that all refuse it.
      read: (name, t) =>
        part > 0 && name === Program.bufferNames.metrics
          ? Effect.map(executable.read(name, t), (values) => values.fill(0))
          : executable.read(name, t),
      gradientsAreFinite: Effect.sync(() => areFinite),
    }
  })

/** What cannot be shared among processes. */
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
 * Prepares a trainer of this process's share. All processes call it, and `step` and `differentiate`, with the same arguments but for the
 * samples: of each batch, process r of n gives `batchSize`/n, the r-th such share of them, and gets their outputs. Losses, firing rates,
 * gradients and updates are those of the whole batch, with the same bits everywhere. `microBatches` is a multiple of the number of
 * processes, which is its default. Weights are the same on all processes, so any of them saves them.
 *
 * A step that fails for one process is not known to the others, which wait for it: let the process end then.
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
