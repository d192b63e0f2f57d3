/** `compare`: compares the gradients of policies with those of BPTT, on the same weights and batches. */
import { Policy, Train } from "@spikeroute/core"
import { batchCount, batches, type Dataset } from "@spikeroute/datasets"
import { Effect, Stream } from "effect"
import { backendLayer } from "../backends.ts"
import { type CheckpointName, restore } from "../checkpoint.ts"
import * as Config from "../config.ts"
import { UsageError } from "../errors.ts"
import { checkFlags } from "../flags.ts"
import { nameOf } from "../modules.ts"
import { networkFor } from "../network.ts"
import { configured, openDataset, openRun } from "../run.ts"
import { print, showBar, table } from "../terminal.ts"
import { dataKey, runKey } from "../training.ts"

export interface CompareFlags {
  readonly run: string | undefined
  readonly checkpoint: string
  readonly policies: string
  /** Path of a config file. */
  readonly config: string | undefined
  /** Number of batches to average over. */
  readonly batches: number
  /** Number of BPTT updates before the comparison. */
  readonly train: number
  readonly json: boolean
  readonly settings: Readonly<Record<string, unknown>>
}

/** Settings that can be changed when a run is given. */
const changeable = ["backend", "dataset", "dataDir", "limit", "k", "timeSteps", "batchSize", "lr", "optimizer", "seed"]

const ofRun = (directory: string, name: CheckpointName, { config, settings }: CompareFlags) =>
  Effect.gen(function* () {
    if (config !== undefined)
      return yield* new UsageError({ reason: `the settings come from the run ${directory}: omit --config` })
    const changes = yield* Config.fromFlags(settings)
    const fixed = Object.keys(changes).find((setting) => !changeable.includes(setting))
    if (fixed !== undefined)
      return yield* new UsageError({ reason: `${fixed} comes from the run ${directory}: omit it` })
    return yield* openRun(directory, name, changes)
  })

const ofSettings = ({ config: file, settings }: CompareFlags) =>
  Effect.gen(function* () {
    const config = yield* configured(file, settings)
    const dataset = yield* openDataset(config)
    const { graph, tensors } = yield* networkFor(config, dataset)
    return { config, graph, dataset, checkpoint: tensors && { file: config.model, tensors, position: undefined } }
  })

/** The policies with these names; those that take a number of steps use `k`, by default 1. */
const policiesOf = (names: ReadonlyArray<Policy.PolicyName>, k = 1) =>
  Effect.forEach(names, (policy) =>
    Config.policyOf({ policy, ...(typeof Policy.policies[policy] === "function" ? { k } : {}) }),
  )

/** `count` batches in the order of a run's first epoch, starting at `from`. */
const take = (dataset: Dataset, config: Config.RunConfig, from: number, count: number) => {
  const { batchSize, timeSteps, limit } = config
  return batches(dataset, "train", {
    ...{ batchSize, timeSteps, limit, remainder: "drop" as const, from },
    key: dataKey(config, 0),
  }).pipe(Stream.take(count))
}

/** Means over the batches for which a figure is defined; null if there are none. */
interface Means {
  readonly cosine: number | null
  readonly normRatio: number | null
  readonly distance: number | null
}

const means = (all: ReadonlyArray<Train.Similarity>): Means => {
  const mean = (figure: keyof Train.Similarity) => {
    const values = all.map((each) => each[figure]).filter((value) => value !== undefined)
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length
  }
  return { cosine: mean("cosine"), normRatio: mean("normRatio"), distance: mean("distance") }
}

/** A gradient whose norm is below this fraction of the total norm is considered rounding error, as for a bias before batch norm. */
const rounding = 1e-6

/** Similarity of a policy's gradient to BPTT's, for every parameter and for all parameters as one vector. */
const beside = (gradients: Train.Gradients, reference: Train.Gradients): ReadonlyMap<string, Train.Similarity> => {
  const pairs = new Map<string, Train.Products>()
  for (const [name, values] of reference)
    pairs.set(name, Train.products(gradients.get(name) ?? new Float32Array(values.length), values))
  const whole = [...pairs.values()].reduce(Train.addProducts, Train.noProducts)
  const figures = (pair: Train.Products) =>
    Train.similarity(pair.bb > rounding ** 2 * whole.bb ? pair : Train.noProducts)
  return new Map([...pairs, ["all", whole] as const].map(([name, pair]) => [name, figures(pair)]))
}

export const compare = (flags: CompareFlags) =>
  Effect.gen(function* () {
    const { json, run } = flags
    const {
      batches: count,
      train: updates,
      policies: names,
      checkpoint: name,
    } = yield* checkFlags("compare", {
      config: flags.config,
      checkpoint: flags.checkpoint,
      policies: flags.policies.split(",").map((each) => each.trim()),
      batches: flags.batches,
      train: flags.train,
    })
    const { config, graph, dataset, checkpoint } = yield* run === undefined
      ? ofSettings(flags)
      : ofRun(run, name, flags)
    const others = (yield* policiesOf(names, config.k)).filter(({ name }) => name !== Policy.bptt.name)
    // SLTT's gradient is the spatial part of BPTT's; the difference is the temporal part.
    const policies = [Policy.bptt, Policy.sltt, ...others.filter(({ name }) => name !== Policy.sltt.name)]
    for (const policy of policies) yield* Policy.check(policy, config.timeSteps)
    const there = batchCount(Math.min(config.limit ?? dataset.train.size, dataset.train.size), config.batchSize, "drop")
    if (updates + count > there)
      return yield* new UsageError({
        reason: `an epoch has ${there} batches of ${config.batchSize}, but --train and --batches need ${updates + count}`,
      })

    yield* Effect.gen(function* () {
      const options = { ...Config.trainingOptions(config, dataset), key: runKey(config) }
      const trainers = yield* Effect.forEach(policies, (policy) => Train.make(graph, policy, options))
      const [reference] = trainers as [Train.Trainer]
      // Network files and program files have no optimiser state.
      if (checkpoint) yield* restore(checkpoint, checkpoint.position ? reference : { load: reference.loadParameters })
      const first = checkpoint?.position?.update ?? 0
      const progress = (label: string, done: number, total: number) => showBar({ label, done, total, detail: "" })
      yield* Stream.runForEach(take(dataset, config, 0, updates), (batch) =>
        reference
          .step(batch, { update: first + batch.index + 1, learningRate: config.lr })
          .pipe(Effect.andThen(progress("training", batch.index + 1, updates)), Effect.andThen(Effect.yieldNow)),
      )
      const weights = yield* reference.save
      for (const trainer of trainers.slice(1)) yield* trainer.load(weights)

      const found = policies.slice(1).map(() => new Map<string, Array<Train.Similarity>>())
      yield* Stream.runForEach(take(dataset, config, updates, count), (batch) =>
        Effect.gen(function* () {
          const update = first + batch.index + 1
          const { gradients: whole } = yield* reference.differentiate(batch, { update })
          for (const [i, trainer] of trainers.slice(1).entries()) {
            const { gradients } = yield* trainer.differentiate(batch, { update })
            for (const [name, similarity] of beside(gradients, whole)) {
              const all = found[i]!.get(name) ?? []
              found[i]!.set(name, [...all, similarity])
            }
          }
          yield* progress("comparing", batch.index - updates + 1, count)
          yield* Effect.yieldNow
        }),
      )

      const rows = [...found[0]!.keys()].map((parameter) => {
        const figures = found.map((each) => means(each.get(parameter) ?? []))
        const shown = policies.slice(1).flatMap(({ name }, i) => {
          const { cosine, normRatio } = figures[i] as Means
          return others.some((other) => other.name === name) ? [[name, { cosine, normRatio }] as const] : []
        })
        return { parameter, temporalShare: (figures[0] as Means).distance, policies: Object.fromEntries(shown) }
      })
      const trained = first + updates
      const { dataset: data, model, tau, timeSteps, batchSize, backend, seed } = config
      if (json) {
        const header = {
          dataset: data,
          model,
          tau,
          timeSteps,
          batchSize,
          backend,
          seed,
          updates: trained,
          batches: count,
        }
        return yield* print(JSON.stringify({ ...header, parameters: rows }, undefined, 2))
      }
      const figure = (value: number | null) => (value === null ? "–" : value.toFixed(3))
      const names = others.map(({ name }) => name)
      yield* print(
        [
          `${nameOf(model)} on ${nameOf(data)}, T = ${timeSteps}, τ = ${tau}, after ${trained} updates, ${count} ${count === 1 ? "batch" : "batches"} of ${batchSize}: beside the gradient of bptt`,
          table(
            ["parameter", "temporal share", ...names.flatMap((name) => [`${name}: cosine`, "norm ratio"])],
            rows.map(({ parameter, temporalShare, policies: own }) => [
              parameter,
              figure(temporalShare),
              ...names.flatMap((name) => [figure(own[name]!.cosine), figure(own[name]!.normRatio)]),
            ]),
          ),
          "Temporal share: the part of bptt's gradient that came through time, ‖bptt − sltt‖ / ‖bptt‖. Means over the batches;",
          "–: the gradient is 0, or nothing but rounding.",
        ].join("\n"),
      )
    }).pipe(Effect.scoped, Effect.provide(backendLayer(config.backend)))
  }).pipe(Effect.scoped)
