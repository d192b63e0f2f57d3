/** `train`: starts a new run or resumes an existing one. */
import { Backend, Graph, Policy, Program, Train } from "@spikeroute/core"
import { datasets } from "@spikeroute/datasets"
import { Communicator, makeTrainer } from "@spikeroute/distributed"
import { Effect, Path } from "effect"
import { backendLayer } from "../backends.ts"
import * as Checkpoint from "../checkpoint.ts"
import * as Config from "../config.ts"
import { UsageError } from "../errors.ts"
import { inWords } from "../evaluation.ts"
import { checkFlags } from "../flags.ts"
import { lock } from "../lock.ts"
import { nameOf } from "../modules.ts"
import { networkFor } from "../network.ts"
import { agree, processes, threadsOf } from "../processes.ts"
import { configured, openDataset } from "../run.ts"
import * as RunDirectory from "../run-directory.ts"
import { bold, dim, print, say } from "../terminal.ts"
import { beginning, checkPosition, epochLength, train as fit, runKey } from "../training.ts"

export interface TrainFlags {
  readonly config: string | undefined
  readonly out: string | undefined
  readonly resume: string | undefined
  /** Whether to train together with the processes that mpirun started. */
  readonly distributed?: boolean
  readonly json: boolean
  readonly settings: Readonly<Record<string, unknown>>
}

/** Settings that can change on --resume: they determine where and for how long the run trains, not what it computes. */
const changeable = ["backend", "dataDir", "epochs", "tensorboard", "workers"]

const resumed = (directory: string, { config, out, settings }: Omit<TrainFlags, "json">) =>
  Effect.gen(function* () {
    const changes = yield* Config.fromFlags(settings)
    const fixed = Object.keys(changes).find((setting) => !changeable.includes(setting))
    if (config !== undefined || out !== undefined || fixed !== undefined)
      return yield* new UsageError({
        reason: `--resume keeps the settings of ${directory}; only --backend, --data-dir, --epochs, --tensorboard and --workers can be changed`,
      })
    const opened = yield* RunDirectory.open(directory)
    const { path, config: before, graph } = opened
    const run = { path, config: { ...before, ...changes }, graph }
    const summary = yield* RunDirectory.readSummary(path)
    if (summary?.epochs === run.config.epochs) {
      const checkpoint = yield* load(path)
      yield* Checkpoint.checkFits(checkpoint, graph)
      return { run, before, over: summary, checkpoint }
    }
    yield* RunDirectory.checkNetwork(opened)
    const { rank } = yield* Communicator
    if (rank === 0) yield* lock(path)
    const checkpoint = yield* load(path)
    const { epoch, batch } = checkpoint.position
    if (run.config.epochs < epoch + (batch > 0 ? 1 : 0))
      return yield* new UsageError({
        reason: `--epochs is ${run.config.epochs}, but ${path} ${batch > 0 ? `is already in epoch ${epoch + 1}` : `has already finished epoch ${epoch}`}`,
      })
    return { run, before, over: undefined, checkpoint }
  })

const load = (path: string) => Checkpoint.load(path, "last")

const begun = ({ config, out, settings }: Omit<TrainFlags, "json">) =>
  Effect.gen(function* () {
    const { rank, size } = yield* Communicator
    const resolved = { ...(size > 1 && { microBatches: size }), ...(yield* configured(config, settings)) }
    const path = (yield* Path.Path).resolve(out ?? RunDirectory.defaultDirectory(resolved, new Date()))
    if (rank === 0) yield* RunDirectory.checkFree(path)
    return { path, config: resolved }
  })

/** Warns if a new number of epochs makes the learning rate of the cosine schedule jump. */
const sayRates = (before: Config.RunConfig, config: Config.RunConfig, update: number, perEpoch: number) => {
  const rate = ({ epochs }: Config.RunConfig, at: number) =>
    Train.learningRate(Config.scheduleOf(config), config.lr, Math.min(at / perEpoch, epochs), epochs)
  const isSame = config.schedule !== "cosine" || before.epochs === config.epochs
  if (update === 0 || isSame || config.warmUp > before.epochs) return Effect.void
  const [last, next] = [rate(before, update - 1), rate(config, update)].map((each) => each.toPrecision(3))
  return Effect.logWarning(
    `the cosine schedule now spans ${config.epochs} epochs instead of ${before.epochs}: the learning rate jumps from ${last} to ${next}, then falls to 0`,
  )
}

/** Trains a run to its end. Returns its directory and its summary. */
export const runTraining = (flags: Omit<TrainFlags, "json">) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    yield* checkFlags("train", { config: flags.config, out: flags.out, resume: flags.resume })
    const earlier = flags.resume === undefined ? undefined : yield* resumed(path.resolve(flags.resume), flags)
    const { path: directory, config } = earlier?.run ?? (yield* begun(flags))
    if (earlier?.over) {
      yield* say(
        `${directory} is complete: ${config.epochs} ${config.epochs === 1 ? "epoch" : "epochs"} trained; nothing was changed. Give a larger --epochs to continue`,
      )
      return { directory, ...earlier.over }
    }
    const policy = yield* Config.policyOf(config)
    const fault = Train.scheduleFault(Config.scheduleOf(config), config.epochs)
    if (fault !== undefined) return yield* fault
    yield* Policy.check(policy, config.timeSteps)
    const dataset = yield* openDataset(config)
    const network = earlier?.run ?? (yield* networkFor(config, dataset))
    const { graph } = network
    const options = { microBatches: 1, ...Config.trainingOptions(config, dataset) }
    // The detected encoding of arrays is stored, because it cannot be inferred without the data.
    const recorded = datasets[config.dataset]?.options?.includes("encoding")
      ? { ...config, encoding: dataset.encoding }
      : config
    const run = { path: directory, config: recorded, graph }

    const communicator = yield* Communicator
    const { backend: _, dataDir, workers, ...settings } = config
    yield* agree(communicator, {
      ...settings,
      samples: dataset.train.size,
      update: earlier?.checkpoint.position.update,
    })
    const isFirst = communicator.rank === 0
    const make = flags.distributed ? makeTrainer : Train.make

    return yield* Effect.gen(function* () {
      const trainer = yield* make(graph, policy, { ...options, key: runKey(config) })
      const predictor = yield* Train.makePredictor(graph, Config.inferenceOptions(config, dataset))
      if (earlier) yield* Checkpoint.restore(earlier.checkpoint, trainer)
      else {
        if (config.init !== undefined)
          yield* Checkpoint.restore(yield* Checkpoint.loadWeights(config.init, graph, config.preset), {
            load: trainer.loadParameters,
          })
        else if ("tensors" in network) yield* trainer.loadParameters(network.tensors)
        if (isFirst) yield* RunDirectory.create(run, { position: beginning, tensors: yield* trainer.save })
      }
      const backend = yield* Backend
      const parameters = Graph.parameterCount(graph)
      yield* say(
        `${nameOf(config.dataset)} · ${nameOf(config.model)}, ${parameters.toLocaleString("en")} parameters · ${policy.name} · T = ${config.timeSteps} · batch ${config.batchSize} · ${backend.name} (${backend.description})${flags.distributed ? ` · ${communicator.size} processes (${communicator.description}), ${trainer.program.microBatches * communicator.size} micro-batches` : ""}`,
      )
      const start = earlier?.checkpoint.position ?? beginning
      if (earlier) {
        yield* say(`continuing after update ${start.update}`)
        const perEpoch = epochLength(config, dataset)
        yield* checkPosition(run, start, perEpoch, trainer.program.neurons.length)
        yield* sayRates(earlier.before, config, start.update, perEpoch)
      }

      const { watch } =
        config.tensorboard && isFirst ? yield* Effect.promise(() => import("../tensorboard/watch.ts")) : {}
      const watched = watch && (yield* watch(run, dataset, start.update))
      const isNew = earlier === undefined
      const outcome = yield* fit(run, dataset, trainer, predictor, { start, isNew, watch: watched })
      const { position: end, evaluation, samplesPerSecond, seconds } = outcome
      const summary = {
        testAccuracy: end.testAccuracy,
        trainAccuracy: end.trainAccuracy,
        bestTestAccuracy: end.best?.testAccuracy ?? null,
        bestEpoch: end.best?.epoch ?? null,
        testTop5: evaluation.top5,
        ...(evaluation.meanSquaredError !== null && {
          testError: evaluation.meanSquaredError,
          bestTestError: end.best?.testError ?? null,
        }),
        firingRates: evaluation.firingRates,
        epochs: end.epoch,
        updates: end.update,
        samplesPerSecond,
        seconds,
        peakBytes: trainer.executable.allocatedBytes(),
        plannedBytes: trainer.program.arenaBytes,
        parameters,
        dataset: config.dataset,
        model: config.model,
        policy: config.policy,
        k: config.k ?? null,
        timeSteps: config.timeSteps,
        batchSize: config.batchSize,
        backend: config.backend,
        seed: config.seed,
      } satisfies RunDirectory.Summary
      if (isFirst) yield* RunDirectory.summarize(directory, summary)
      return { directory, ...summary }
    }).pipe(Effect.scoped, Effect.provide(backendLayer(config.backend, threadsOf(communicator))))
  }).pipe(Effect.scoped, Effect.provide(processes(flags.distributed ?? false)))

export const train = ({ json, ...flags }: TrainFlags) =>
  Effect.gen(function* () {
    const run = yield* runTraining(flags)
    if (json) return yield* print(JSON.stringify(run, undefined, 2))
    const { testAccuracy, bestTestAccuracy, bestEpoch, seconds, samplesPerSecond, peakBytes, directory } = run
    const best = inWords(bestTestAccuracy, run.bestTestError).replace("accuracy ", "")
    yield* print(
      [
        `${bold(`test ${inWords(testAccuracy, run.testError)}`)}  best ${best} after epoch ${bestEpoch}`,
        `${Math.round(seconds)} s  ${samplesPerSecond ?? "no"} samples/s  ${Program.formatBytes(peakBytes)} of memory at the peak`,
        dim(directory),
      ].join("\n"),
    )
  })
