/**
 * The training loop of a run. Each epoch is followed by an evaluation on the test samples. A run resumes bit-identically from its
 * checkpoints. Ctrl-C stops training after the current batch.
 */
import { Key, Train } from "@spikeroute/core"
import { type Batch, batchCount, batches, type Dataset } from "@spikeroute/datasets"
import { Communicator, total } from "@spikeroute/distributed"
import { Clock, Effect, Option, Stream } from "effect"
import { type Position, save } from "./checkpoint.ts"
import { type RunConfig, scheduleOf } from "./config.ts"
import { UsageError } from "./errors.ts"
import { type Evaluation, evaluate, warnOfRates } from "./evaluation.ts"
import { together } from "./processes.ts"
import { change, noMetrics, openMetrics, type RunDirectory } from "./run-directory.ts"
import type { Watch } from "./tensorboard/watch.ts"
import { percent, say, shellQuote, showBar } from "./terminal.ts"

/** Seconds between checkpoints within an epoch. */
const checkpointInterval = 30

export interface Outcome {
  readonly position: Position
  /** The evaluation after the last epoch. */
  readonly evaluation: Evaluation
  /** Training throughput, excluding evaluation and file access; null if this process trained no batch. */
  readonly samplesPerSecond: number | null
  /** Total duration in this process, in seconds. */
  readonly seconds: number
}

const emptySums: Position["sums"] = { samples: 0, loss: 0, top1: 0, top5: 0, firingRates: [] }

/** The initial position of a run. */
export const beginning: Position = {
  update: 0,
  batch: 0,
  epoch: 0,
  sums: emptySums,
  trainAccuracy: null,
  testAccuracy: null,
  best: null,
  metricsBytes: 0,
}

/** The random key of a run, from which all others are derived. */
export const runKey = ({ seed }: RunConfig): Key.Key => Key.make(seed)

/** The random key for sample order and augmentation in an epoch, counted from 0. */
export const dataKey = (config: RunConfig, epoch: number): Key.Key => Key.fold(runKey(config), "data", epoch)

/** Number of batches per epoch. */
export const epochLength = ({ limit, batchSize }: RunConfig, { train }: Dataset): number =>
  batchCount(Math.min(limit ?? train.size, train.size), batchSize, "drop")

/** Fails if a position is impossible in this run, because the data differ or the checkpoint was modified. */
export const checkPosition = ({ path, config }: RunDirectory, position: Position, perEpoch: number, layers: number) => {
  const { update, epoch, batch, sums } = position
  const ofRun = update === epoch * perEpoch + batch && batch <= perEpoch
  if (ofRun && sums.samples === batch * config.batchSize && sums.firingRates.length === (batch > 0 ? layers : 0))
    return Effect.void
  const reason = `${path}: the checkpoint stands after update ${update}, in batch ${batch} after ${epoch} epochs, but an epoch has ${perEpoch} batches here: the data are not those of the run, or the checkpoint was changed`
  return Effect.fail(new UsageError({ reason }))
}

/**
 * Trains from a position to the last epoch. The trainer must already hold the tensors of that position. With several processes, each
 * trains its share of every batch, and only rank 0 writes the run directory.
 */
export const train = (
  run: RunDirectory,
  dataset: Dataset,
  trainer: Train.Trainer,
  predictor: Train.Predictor,
  from: Start,
) =>
  Effect.flatMap(Communicator, (communicator) =>
    together(communicator, (isWanted) => trainTogether(run, dataset, trainer, predictor, from, isWanted)),
  )

/** The position at which training starts, and the TensorBoard writer, if any. */
interface Start {
  readonly start: Position
  readonly isNew: boolean
  readonly watch?: Watch | undefined
}

const trainTogether = (
  run: RunDirectory,
  dataset: Dataset,
  trainer: Train.Trainer,
  predictor: Train.Predictor,
  { start, isNew, watch }: Start,
  isInterrupted: () => boolean,
) =>
  Effect.gen(function* () {
    const communicator = yield* Communicator
    const { rank, size: count } = communicator
    const isFirst = rank === 0
    const { path, config } = run
    const { batchSize, timeSteps, epochs } = config
    const { neurons } = trainer.program
    const hasLabels = (dataset.targets ?? "class") === "class"
    const perEpoch = epochLength(config, dataset)
    const schedule = scheduleOf(config)
    const metrics = isFirst ? yield* openMetrics(path, start.metricsBytes) : noMetrics

    let position = start
    let evaluation: Evaluation | undefined
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe() / 1000
    const began = now()
    let trainingSeconds = 0
    let lastCheckpoint = began

    // A resumed run is not modified before this process has something to record.
    let isChanged = isNew
    const begin = Effect.suspend(() => {
      if (isChanged) return Effect.void
      isChanged = true
      return isFirst ? Effect.andThen(metrics.cut, change(run)) : Effect.void
    })

    const record = (line: Readonly<Record<string, unknown>>) =>
      Effect.map(Effect.andThen(begin, metrics.append(line)), (bytes) => {
        position = { ...position, metricsBytes: position.metricsBytes + bytes }
      })

    const checkpoint = Effect.gen(function* () {
      lastCheckpoint = now()
      if (!isFirst) return
      yield* metrics.sync
      const tensors = yield* trainer.save
      if (position.best?.epoch === position.epoch && position.batch === 0)
        yield* save(path, "best", { position, tensors })
      yield* save(path, "last", { position, tensors })
    })

    const trainBatch = (batch: Batch, next: Batch | undefined) =>
      Effect.gen(function* () {
        const { labels, index } = batch
        const before = now()
        const update = position.update + 1
        const learningRate = Train.learningRate(schedule, config.lr, position.epoch + index / perEpoch, epochs)
        const { loss, outputs, firingRates } = yield* trainer.step(batch, { update, learningRate, next })
        trainingSeconds += now() - before
        // Correct answers are counted only for targets of one class per sample.
        const own = [1, 5].map((k) => (hasLabels ? Train.hits(outputs, labels, k) : 0))
        const [top1 = 0, top5 = 0, interrupted = 0] = yield* total(communicator, [...own, Number(isInterrupted())])
        const { sums } = position
        position = {
          ...position,
          update,
          batch: index + 1,
          sums: {
            samples: sums.samples + batchSize,
            loss: sums.loss + loss,
            top1: sums.top1 + top1,
            top5: sums.top5 + top5,
            firingRates: firingRates.map((rate, i) => rate + (sums.firingRates[i] ?? 0)),
          },
        }
        const line = {
          type: "batch",
          epoch: position.epoch + 1,
          update,
          learningRate,
          loss,
          ...(hasLabels && { top1: top1 / batchSize, top5: top5 / batchSize }),
          firingRates,
        }
        yield* record(line)
        if (watch) yield* watch.batch(line)
        const done = update / (epochs * perEpoch)
        const doneHere = (update - start.update) / (epochs * perEpoch)
        yield* showBar({
          label: `epoch ${position.epoch + 1}/${epochs}`,
          done: index + 1,
          total: perEpoch,
          detail: `loss ${loss.toFixed(3)}  ${samplesPerSecond()} samples/s`,
          secondsLeft: ((now() - began) / doneHere) * (1 - done),
        })
        if (now() - lastCheckpoint > checkpointInterval) yield* checkpoint
        if (interrupted > 0) yield* Effect.interrupt
      }).pipe(Effect.uninterruptible, Effect.andThen(Effect.yieldNow))

    const samplesPerSecond = () =>
      position.update === start.update
        ? null
        : Math.round(((position.update - start.update) * batchSize) / trainingSeconds)

    const endEpoch = (tested: Evaluation) =>
      Effect.gen(function* () {
        const epoch = position.epoch + 1
        const { samples, loss, top1, top5, firingRates } = position.sums
        const trained = {
          loss: loss / perEpoch,
          top1: hasLabels ? top1 / samples : null,
          top5: hasLabels ? top5 / samples : null,
        }
        const rates = Object.fromEntries(neurons.map((name, i) => [name, (firingRates[i] ?? 0) / perEpoch]))
        const { top1: testAccuracy, meanSquaredError: testError } = tested
        const isBest =
          testError === null
            ? (testAccuracy ?? 0) > (position.best?.testAccuracy ?? -1)
            : testError < (position.best?.testError ?? Number.POSITIVE_INFINITY)
        const own = { testAccuracy, ...(testError !== null && { testError }) }
        evaluation = tested
        position = {
          ...position,
          epoch,
          batch: 0,
          sums: emptySums,
          trainAccuracy: trained.top1,
          ...own,
          best: isBest ? { epoch, ...own } : position.best,
        }
        const line = {
          type: "epoch",
          epoch,
          update: position.update,
          train: { ...trained, firingRates: rates },
          test: {
            ...{ top1: tested.top1, top5: tested.top5, firingRates: tested.firingRates },
            ...(testError !== null && { meanSquaredError: testError }),
          },
        }
        yield* record(line)
        if (watch) yield* watch.epoch(line, yield* trainer.save)
        yield* checkpoint
        yield* say(
          `epoch ${epoch}/${epochs}  loss ${trained.loss.toFixed(3)}  ${trained.top1 === null ? "" : `train ${percent(trained.top1)}  `}test ${testError === null ? percent(testAccuracy ?? 0) : testError.toPrecision(4)}  ${samplesPerSecond() ?? "no"} samples/s`,
        )
        if (isFirst) yield* warnOfRates(rates)
      }).pipe(Effect.uninterruptible)

    const epoch = Effect.gen(function* () {
      const data = { batchSize, timeSteps, limit: config.limit, remainder: "drop", from: position.batch } as const
      const share = { index: rank, count }
      const epochBatches = batches(dataset, "train", { ...data, share, key: dataKey(config, position.epoch) })
      yield* Stream.runForEach(Stream.zipWithNext(epochBatches), ([batch, next]) =>
        trainBatch(batch, Option.getOrUndefined(next)),
      )
      yield* endEpoch(yield* evaluated)
    })

    const evaluated = Effect.gen(function* () {
      yield* predictor.load(yield* trainer.save)
      return yield* evaluate(predictor, dataset, config)
    })

    const stopped = Effect.gen(function* () {
      if (isNew && position.update === 0) return yield* say("stopped before the first update; no run was saved")
      yield* Effect.andThen(begin, checkpoint).pipe(
        Effect.catch(({ message }) => say(`error: the last checkpoint is older: ${message}`)),
      )
      yield* say(`stopped after update ${position.update}; continue with train --resume ${shellQuote(path)}`)
    })

    yield* Effect.whileLoop({
      while: () => position.epoch < epochs,
      body: () => epoch,
      step: () => {},
    }).pipe(Effect.onInterrupt(() => Effect.andThen(stopped, Effect.ignore(total(communicator, [])))))
    // All epochs were already trained, but the summary is missing.
    evaluation ??= yield* evaluated
    yield* begin
    return { position, evaluation, samplesPerSecond: samplesPerSecond(), seconds: now() - began } satisfies Outcome
  })
