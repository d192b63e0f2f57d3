/** What a run is: flags over the config file over what suits the data set. */
import {
  describeFault,
  LifSchema,
  Losses,
  LossSchema,
  Models,
  Optimizer,
  Options,
  Policy,
  Program,
  quote,
  Surrogate,
  Train,
} from "@spikeroute/core"
import { BatchSchema, datasets, OpenSchema, type Sample, type Targets, WorkersSchema } from "@spikeroute/datasets"
import { DiscretisationSchema } from "@spikeroute/nir"
import { Effect, type FileSystem, Path, Schema, Struct } from "effect"
import { backendNames } from "./backends.ts"
import { UsageError } from "./errors.ts"
import { readJson } from "./files.ts"
import { isPath, nameOrPath } from "./modules.ts"
import { type PresetName, presets } from "./presets.ts"

const { oneOf, whole } = Options
const { width, dropout } = Models.ModelSchema.fields
const { batchSize, timeSteps, microBatches, freeze, clipNorm, clipValue } = Program.TrainingSchema.fields

/** The data set of a run that was imported for no data. */
export const noDataset = "none"

/** All settings of a run, as config.json holds them. A config file holds any of them. */
export const RunConfig = Schema.Struct({
  /** A data set of the library, the path of a module that gives one, or none. */
  dataset: nameOrPath([...Object.keys(datasets), noDataset], [".ts", ".js"]),
  /** Where the files of the data set are; nothing is downloaded then. */
  dataDir: OpenSchema.fields.dataDir,
  /** Only the first so many training and test samples. */
  limit: BatchSchema.fields.limit,
  /** Width and height that samples are brought to, where the data set has others than its usual ones. */
  size: OpenSchema.fields.size,
  /** Share of the samples to test on, where the data say no split. */
  split: OpenSchema.fields.split,
  /** Width and height of the sensor, and the columns of event arrays without names. */
  sensor: OpenSchema.fields.sensor,
  columns: OpenSchema.fields.columns,
  /** Whether the axis behind the samples of arrays is time. */
  encoding: OpenSchema.fields.encoding,
  /** Seconds of each recording of sound. */
  duration: OpenSchema.fields.duration,
  /** Augmentation of the training samples, in this order. */
  augment: OpenSchema.fields.augment.schema,
  /** Threads that make samples beside the training thread. They change no bit of what is trained. */
  workers: Schema.optionalKey(WorkersSchema.fields.workers),
  /** Whether the run also writes TensorBoard's event files. They change no bit of what is trained. */
  tensorboard: Schema.optionalKey(Options.Flag),
  /** A network of the library, or the path of a file that holds one. */
  model: nameOrPath(Models.modelNames, [".ts", ".js", ".json", ".nir"]),
  /** The discretisation of a NIR network. */
  nir: Schema.optionalKey(DiscretisationSchema),
  /** A factor of the model's channels. */
  width: width.schema,
  /** Share of the model's activations that dropout drops. */
  dropout: dropout.schema,
  policy: oneOf(Policy.policyNames),
  /** slttk: how many time steps are trained; tbptt: the window. */
  k: Schema.optionalKey(timeSteps),
  /** What maps gave is computed again in the backward direction rather than kept: less memory. */
  recompute: Schema.optionalKey(Options.Flag),
  backend: oneOf(backendNames),
  timeSteps,
  /** Membrane time constant in time steps: the decay is λ = 1 − 1/τ. */
  tau: LifSchema.fields.tau.schema.check(Options.must("a finite number of at least 1", Number.isFinite)),
  surrogate: oneOf(Surrogate.surrogateNames),
  batchSize,
  /** Parts of a batch that go through the network one after the other: less memory. */
  microBatches,
  epochs: whole(1, 2 ** 20),
  /** The learning rate after warm-up. */
  lr: Options.Positive,
  schedule: Train.ScheduleSchema.fields.name,
  warmUp: Train.ScheduleSchema.fields.warmUp,
  stepSize: Train.ScheduleSchema.fields.stepSize,
  gamma: Train.ScheduleSchema.fields.gamma,
  optimizer: oneOf(Optimizer.optimizerNames),
  momentum: Options.NonNegative,
  weightDecay: Options.NonNegative,
  /** Weights that are not trained, by name or pattern. */
  freeze,
  clipNorm,
  clipValue,
  /** β and the target of the squared error in the loss. */
  lossMix: LossSchema.fields.mix,
  lossTarget: LossSchema.fields.target,
  /** Where the parameters are that training starts from: a run, whose last checkpoint is taken, or a file of tensors. */
  init: Schema.optionalKey(Schema.String),
  /** Whose names the tensors of that file have. */
  preset: Schema.optionalKey(oneOf(Object.keys(presets) as ReadonlyArray<PresetName>)),
  seed: OpenSchema.fields.seed.schema,
})

export type RunConfig = typeof RunConfig.Type

/** Settings as a config file or the flags give them. */
const PartialConfig = RunConfig.mapFields(Struct.map(Schema.optionalKey))

export type PartialConfig = typeof PartialConfig.Type

const settings = Object.keys(RunConfig.fields)

const general = {
  dataset: "shapes",
  model: "conv",
  width: 1,
  dropout: 0,
  policy: "sltt",
  timeSteps: 4,
  tau: 2,
  surrogate: "triangle",
  batchSize: 64,
  epochs: 5,
  lr: 1e-3,
  schedule: "cosine",
  warmUp: 0,
  stepSize: 1,
  gamma: 0.1,
  optimizer: "adam",
  momentum: 0.9,
  lossMix: 0.05,
  lossTarget: "ones",
  seed: 0,
} as const satisfies PartialConfig

/** What suits a data set better than the general settings. */
const suited: Readonly<Record<string, PartialConfig>> = {
  shapes: { timeSteps: 8, batchSize: 32, epochs: 8, lr: 2e-3 },
  heartbeats: { model: "cnn1d", epochs: 10, lr: 2e-3 },
  mnist: { epochs: 2 },
  "fashion-mnist": { epochs: 3 },
  cifar10: { epochs: 20 },
  cifar100: { epochs: 20 },
  nmnist: { timeSteps: 8, batchSize: 32, epochs: 15 },
  "dvs-gesture": { timeSteps: 20, batchSize: 16, epochs: 30 },
  "cifar10-dvs": { timeSteps: 10, batchSize: 32, epochs: 30 },
  shd: { model: "mlp", timeSteps: 50, batchSize: 64, epochs: 20 },
  ssc: { model: "mlp", timeSteps: 50, batchSize: 64, epochs: 20 },
  "image-folder": { batchSize: 32, epochs: 20 },
  "events-folder": { timeSteps: 10, batchSize: 16, epochs: 20 },
  "audio-folder": { model: "recurrent", timeSteps: 50, batchSize: 32, epochs: 20 },
  arrays: { model: "mlp", batchSize: 32, epochs: 20 },
  optdigits: { epochs: 20 },
}

/** The first thing that is wrong with settings, as one line; `name` says how a setting is called where they come from. */
const decode = (
  values: unknown,
  source: string,
  name: (setting: string) => string,
): Effect.Effect<PartialConfig, UsageError> => {
  const fault = Options.faultIn(PartialConfig as Schema.Codec<unknown>, values)
  if (fault === undefined) return Effect.succeed(values as PartialConfig)
  const { option, expected, similar } = fault
  const refuse = (reason: string) => Effect.fail(new UsageError({ reason: source + reason }))
  if (option === "") return refuse("it must contain one JSON object with settings")
  if (expected !== undefined) return refuse(describeFault({ ...fault, option: name(option) }))
  const hint = similar === undefined ? `; there are ${settings.join(", ")}` : ` (did you mean "${similar}"?)`
  return refuse(`there is no setting ${quote(option)}${hint}`)
}

/** Settings whose paths no longer depend on where they were said. */
const withPaths = (config: PartialConfig, resolved: (path: string) => string): PartialConfig => ({
  ...config,
  ...(config.dataDir === undefined ? {} : { dataDir: resolved(config.dataDir) }),
  ...(config.init === undefined ? {} : { init: resolved(config.init) }),
  ...(config.model !== undefined && isPath(config.model) ? { model: resolved(config.model) } : {}),
  ...(config.dataset !== undefined && isPath(config.dataset) ? { dataset: resolved(config.dataset) } : {}),
})

/** Settings of a config file. */
export const readConfigFile = (
  file: string,
): Effect.Effect<PartialConfig, UsageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const config = yield* decode(yield* readJson(file), `${file}: `, (setting) => setting)
    return withPaths(config, (place) => path.resolve(path.dirname(path.resolve(file)), place))
  })

/** The flag of a setting. */
export const flagName = (setting: string): string =>
  `--${setting.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/** Settings from the command line, of which those that were not given are undefined. */
export const fromFlags = (
  flags: Readonly<Record<string, unknown>>,
): Effect.Effect<PartialConfig, UsageError, Path.Path> =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined))
    const config = yield* decode(given, "", flagName)
    return withPaths(config, (place) => path.resolve(place))
  })

/**
 * Settings of a config file, or others where there is none, under those from the command line. A policy that takes no k is not told the
 * file's.
 */
export const chosen = (
  file: string | undefined,
  flags: Readonly<Record<string, unknown>>,
  otherwise: PartialConfig = {},
): Effect.Effect<PartialConfig, UsageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const given = file === undefined ? otherwise : yield* readConfigFile(file)
    const own = yield* fromFlags(flags)
    const { k: _, ...others } = given
    const isOther = own.policy !== undefined && !takesK(own.policy as Policy.PolicyName)
    const all = { ...(isOther ? others : given), ...own }
    const { optimizer, schedule } = resolve(all)
    for (const setting of ["momentum", "weightDecay", "stepSize", "gamma"] as const) {
      const isRead = setting in optionsOf(optimizer) || (schedule === "step" && setting in Train.ScheduleSchema.fields)
      if (own[setting] === undefined || isRead) continue
      const reason = `${flagName(setting)} has no effect with optimizer ${optimizer} and schedule ${schedule}`
      return yield* new UsageError({ reason })
    }
    return all
  })

const optionsOf = (optimizer: RunConfig["optimizer"]) => Optimizer.optimizers[optimizer].defaults

/** All that a network and its training are; only the backend is not decided. */
export type Settings = Omit<RunConfig, "backend">

/** Settings with the others filled in. */
export const resolve = (chosen: PartialConfig): Settings => {
  const merged = { ...general, ...suited[chosen.dataset ?? general.dataset], ...chosen }
  const augment = datasets[merged.dataset]?.augment ?? []
  return {
    augment: augment === "never" ? [] : augment,
    weightDecay: optionsOf(merged.optimizer).weightDecay ?? 0,
    ...merged,
  }
}

/** The policy that the settings name. */
export const policyOf = ({
  policy: name,
  k,
  recompute = false,
}: Pick<RunConfig, "policy" | "k" | "recompute">): Effect.Effect<Policy.Policy, UsageError> => {
  const policy = Policy.policies[name as Policy.PolicyName]
  if (takesK(name as Policy.PolicyName) && k === undefined)
    return Effect.fail(new UsageError({ reason: `policy ${name} needs a number of time steps: give it as --k` }))
  if (!takesK(name as Policy.PolicyName) && k !== undefined)
    return Effect.fail(
      new UsageError({
        reason: `policy ${name} takes no --k; ${Policy.policyNames.filter(takesK).join(" and ")} do`,
      }),
    )
  const chosen = typeof policy === "function" ? policy(k as number) : policy
  return Effect.succeed(recompute ? chosen.pipe(Policy.recompute) : chosen)
}

const takesK = (name: Policy.PolicyName) => typeof Policy.policies[name] === "function"

/** The optimiser that the settings describe. */
export const optimizerOf = ({ optimizer, momentum, weightDecay }: Settings): Optimizer.Optimizer => {
  const kind = Optimizer.optimizers[optimizer]
  return kind(Struct.pick({ momentum, weightDecay }, Object.keys(kind.defaults) as Array<"momentum" | "weightDecay">))
}

/** The neurons that the settings describe. */
export const neuronOf = ({ tau, surrogate }: Pick<RunConfig, "tau" | "surrogate">) => ({
  tau,
  surrogate: Surrogate.defaults[surrogate as Surrogate.SurrogateName],
})

/** What a program must know of a data set's samples. */
export type ToldSample = Pick<Sample, "encoding" | "targets">

/** The loss for targets of a kind; the settings are about one class a sample. */
const lossOf = (
  { lossMix: mix, lossTarget: target }: Settings,
  targets: Targets = "class",
): Program.TrainingOptions["loss"] =>
  targets === "class"
    ? { mix, target }
    : targets === "classPerStep"
      ? [Losses.crossEntropy()]
      : [Losses.meanSquaredError({ over: targets === "numbers" ? "mean" : "step" })]

/** What a trainer is for, by the settings and the data set's samples. */
export const trainingOptions = (config: Settings, { encoding, targets }: ToldSample): Program.TrainingOptions => ({
  batchSize: config.batchSize,
  timeSteps: config.timeSteps,
  encoding,
  loss: lossOf(config, targets),
  optimizer: optimizerOf(config),
  ...Struct.pick(config, ["microBatches", "freeze", "clipNorm", "clipValue"]),
})

/** Samples that inference takes through the network at once: its memory grows with them, and its throughput hardly, but for a few. */
const [fewest, most] = [16, 64]

/** What a predictor of a run is for: its batches in equal parts of 16 to 64 samples, where they have such. */
export const inferenceOptions = (config: Settings, { encoding, targets }: ToldSample): Program.InferenceOptions => {
  const { batchSize, timeSteps, microBatches = 1 } = config
  let parts = Math.max(microBatches, Math.ceil(batchSize / most))
  while (batchSize % parts !== 0) parts++
  return {
    ...{ batchSize, timeSteps, encoding, microBatches: batchSize / parts < fewest ? microBatches : parts },
    ...(targets?.endsWith("PerStep") && { outputs: "step" as const }),
  }
}

/** The learning-rate schedule that the settings describe. */
export const scheduleOf = ({ schedule, warmUp, stepSize, gamma }: Settings): Train.Schedule => ({
  name: schedule as Train.Schedule["name"],
  warmUp,
  stepSize,
  gamma,
})
