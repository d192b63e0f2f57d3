/** The settings of a run. Flags override the config file, which overrides the defaults of the data set. */
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

/** The `dataset` of a run imported without a data set. */
export const noDataset = "none"

/** All settings of a run, as stored in config.json. A config file may contain any subset. */
export const RunConfig = Schema.Struct({
  /** A data set of the library, the path of a module that exports one, or `none`. */
  dataset: nameOrPath([...Object.keys(datasets), noDataset], [".ts", ".js"]),
  /** Directory of the data set's files; if given, nothing is downloaded. */
  dataDir: OpenSchema.fields.dataDir,
  /** Maximum number of training samples and of test samples. */
  limit: BatchSchema.fields.limit,
  /** Width and height to which samples are resized; the default depends on the data set. */
  size: OpenSchema.fields.size,
  /** Fraction of the samples used for testing if the data define no split. */
  split: OpenSchema.fields.split,
  /** Width and height of the sensor, and the column names of event arrays that have none. */
  sensor: OpenSchema.fields.sensor,
  columns: OpenSchema.fields.columns,
  /** For arrays, whether the second axis is time (`frames`) or not (`static`). */
  encoding: OpenSchema.fields.encoding,
  /** Seconds to which audio recordings are cut or padded. */
  duration: OpenSchema.fields.duration,
  /** Augmentations of the training samples, applied in this order. */
  augment: OpenSchema.fields.augment.schema,
  /** Threads that prepare samples beside the training thread. Training is bit-identical with any number. */
  workers: Schema.optionalKey(WorkersSchema.fields.workers),
  /** Whether to write TensorBoard event files as well. Training is bit-identical with and without them. */
  tensorboard: Schema.optionalKey(Options.Flag),
  /** A network of the library, or the path of a file that contains one. */
  model: nameOrPath(Models.modelNames, [".ts", ".js", ".json", ".nir"]),
  /** The discretisation of a NIR network. */
  nir: Schema.optionalKey(DiscretisationSchema),
  /** Factor for the model's channel counts. */
  width: width.schema,
  /** Dropout probability of the model's activations. */
  dropout: dropout.schema,
  policy: oneOf(Policy.policyNames),
  /** slttk: number of trained time steps; tbptt: window length. */
  k: Schema.optionalKey(timeSteps),
  /** Recomputes layer outputs in the backward pass instead of storing them, to save memory. */
  recompute: Schema.optionalKey(Options.Flag),
  backend: oneOf(backendNames),
  timeSteps,
  /** Membrane time constant in time steps; the decay is λ = 1 − 1/τ. */
  tau: LifSchema.fields.tau.schema.check(Options.must("a finite number of at least 1", Number.isFinite)),
  surrogate: oneOf(Surrogate.surrogateNames),
  batchSize,
  /** Number of parts of a batch, processed one after the other to save memory. */
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
  /** Names or patterns of weights that are not trained. */
  freeze,
  clipNorm,
  clipValue,
  /** Weight β and target of the squared error in the loss. */
  lossMix: LossSchema.fields.mix,
  lossTarget: LossSchema.fields.target,
  /** Source of the initial parameters: a run (its last checkpoint) or a file of tensors. */
  init: Schema.optionalKey(Schema.String),
  /** The library whose naming the tensors of that file follow. */
  preset: Schema.optionalKey(oneOf(Object.keys(presets) as ReadonlyArray<PresetName>)),
  seed: OpenSchema.fields.seed.schema,
})

export type RunConfig = typeof RunConfig.Type

/** Any subset of the settings, as in a config file or in the flags. */
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

/** Defaults per data set; they override the general ones. */
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

/** Checks settings. Reports the first fault in one line; `name` maps a setting to its name in the source, such as a flag. */
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

/** Settings with resolved paths. */
const withPaths = (config: PartialConfig, resolved: (path: string) => string): PartialConfig => ({
  ...config,
  ...(config.dataDir === undefined ? {} : { dataDir: resolved(config.dataDir) }),
  ...(config.init === undefined ? {} : { init: resolved(config.init) }),
  ...(config.model !== undefined && isPath(config.model) ? { model: resolved(config.model) } : {}),
  ...(config.dataset !== undefined && isPath(config.dataset) ? { dataset: resolved(config.dataset) } : {}),
})

/** Reads a config file. Its relative paths are resolved against its directory. */
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

/** Settings from the command line; flags that were not given are undefined. */
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
 * Settings of a config file (without one, `otherwise`), overridden by those from the command line. If the policy of the command line
 * takes no k, the file's k is dropped.
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

/** All settings except the backend. */
export type Settings = Omit<RunConfig, "backend">

/** Fills in the defaults of settings that were not given. */
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

/** The properties of a data set's samples that a program depends on. */
export type ToldSample = Pick<Sample, "encoding" | "targets">

/** The loss for a kind of targets. The loss settings apply only to targets of one class per sample. */
const lossOf = (
  { lossMix: mix, lossTarget: target }: Settings,
  targets: Targets = "class",
): Program.TrainingOptions["loss"] =>
  targets === "class"
    ? { mix, target }
    : targets === "classPerStep"
      ? [Losses.crossEntropy()]
      : [Losses.meanSquaredError({ over: targets === "numbers" ? "mean" : "step" })]

/** The options of a trainer, from the settings and the data set's samples. */
export const trainingOptions = (config: Settings, { encoding, targets }: ToldSample): Program.TrainingOptions => ({
  batchSize: config.batchSize,
  timeSteps: config.timeSteps,
  encoding,
  loss: lossOf(config, targets),
  optimizer: optimizerOf(config),
  ...Struct.pick(config, ["microBatches", "freeze", "clipNorm", "clipValue"]),
})

/** Bounds on the samples per inference micro-batch. Memory grows with their number; beyond a few, throughput hardly does. */
const [fewest, most] = [16, 64]

/** The options of a run's predictor. Batches are split into equal parts of 16 to 64 samples if their size allows it. */
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
