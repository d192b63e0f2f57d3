/**
 * Generates docs/options.md: the range of every option and where it is checked, derived from the Schemas that check it.
 * Run `bun apps/cli/src/options-table.ts` to write the file.
 */
import { writeFileSync } from "node:fs"
import { NativeSchema } from "@spikeroute/backend-native"
import { TfjsSchema } from "@spikeroute/backend-tfjs"
import { MemorySchema, WasmSchema } from "@spikeroute/backend-wasm"
import * as S from "@spikeroute/core"
import {
  BatchSchema,
  Camera,
  DownloadSchema,
  EventSplitSchema,
  EventTransforms,
  ImageSplitSchema,
  ImageTransforms,
  OpenSchema,
  ShapesSchema,
  WorkersSchema,
} from "@spikeroute/datasets"
import { Schema } from "effect"
import { flagName, RunConfig } from "./config.ts"
import { commandFlags } from "./flags.ts"

type Part = S.Options.Part

/** An owner of options, their Schema, and the command-line settings that correspond to them. */
export interface Record {
  readonly of: string
  readonly schema: Part
  readonly settings?: Readonly<{ [option: string]: keyof typeof RunConfig.fields }>
}

const same = (...names: ReadonlyArray<keyof typeof RunConfig.fields>) =>
  Object.fromEntries(names.map((name) => [name, name]))

/** Neurons made by `Neuron.make`. */
const neurons: ReadonlyArray<Record> = Object.entries<unknown>({ ...S }).flatMap(([name, layer]) =>
  typeof layer === "function" && "definition" in layer && "schema" in layer
    ? [{ of: `\`${name}\``, schema: layer.schema as Part }]
    : [],
)

const transforms = (namespace: string, schemas: object): ReadonlyArray<Record> =>
  Object.entries(schemas).map(([name, schema]) => ({ of: `\`${namespace}.${name}\``, schema: schema as Part }))

/** Loss terms. */
const terms: ReadonlyArray<Record> = [
  { of: "`Losses.crossEntropy`", schema: S.Losses.crossEntropy().kind.schema as Part },
  { of: "`Losses.firingRate`", schema: S.Losses.firingRate({ rate: 1 }).kind.schema as Part },
  { of: "`Losses.firingRateBounds`", schema: S.Losses.FiringRateBoundsSchema as Part },
  { of: "`Losses.spikeCount`", schema: S.Losses.spikeCount().kind.schema as Part },
  { of: "`Losses.own`, `Losses.meanSquaredError`", schema: S.Losses.meanSquaredError().kind.schema as Part },
]

const policyFields = S.Policy.PolicySchema.fields
const policies: ReadonlyArray<Record> = Object.entries({
  "`Policy.truncate`, `tbptt`": { window: policyFields.window },
  "`Policy.trainOn`, `slttK`": { steps: policyFields.steps },
  "`Policy.trace`": { decay: policyFields.trace },
  "`Policy.checkpoint`": { steps: policyFields.checkpoint },
}).map(([of, fields]) => ({ of, schema: Schema.Struct(fields) as Part }))

export const records: ReadonlyArray<Record> = [
  {
    of: "training, inference",
    schema: S.Program.TrainingSchema,
    settings: same("batchSize", "timeSteps", "microBatches", "freeze", "clipNorm", "clipValue"),
  },
  { of: "loss", schema: S.LossSchema, settings: { mix: "lossMix", target: "lossTarget" } },
  ...terms,
  ...policies,
  ...Object.entries(S.Optimizer.optimizers).map(([name, { schema }]) => ({
    of: `\`Optimizer.${name}\``,
    schema: schema as unknown as Part,
    settings: same(...(["momentum", "weightDecay"] as const).filter((option) => option in schema.fields)),
  })),
  {
    of: "`Train.learningRate`",
    schema: S.Train.ScheduleSchema,
    settings: { name: "schedule", ...same("warmUp", "stepSize", "gamma") },
  },
  { of: "`Models`", schema: S.Models.ModelSchema, settings: same("width", "dropout") },
  { of: "`lif`", schema: S.LifSchema, settings: same("tau") },
  { of: "`integrateAndFire`", schema: S.FiringSchema },
  { of: "`plif`", schema: S.PlifSchema as Part },
  { of: "`leakyReadout`", schema: S.LeakyReadoutSchema },
  ...neurons,
  ...S.Surrogate.surrogateNames.map((name) => ({
    of: `surrogate \`${name}\``,
    schema: S.Surrogate.schemas[name] as Part,
  })),
  { of: "`linear`", schema: S.LinearSchema as Part },
  { of: "`conv2d`", schema: S.Conv2dSchema },
  { of: "`scaledWeightStandardizedConv2d`", schema: S.ScaledWeightStandardizedConv2dSchema as Part },
  { of: "`conv1d`", schema: S.Conv1dSchema },
  { of: "`convTranspose2d`", schema: S.ConvTranspose2dSchema },
  { of: "`convTranspose1d`", schema: S.ConvTranspose1dSchema },
  { of: "`averagePool`, `sumPool`, `maxPool`", schema: S.PoolSchema },
  { of: "`averagePool1d`, `sumPool1d`, `maxPool1d`", schema: S.Pool1dSchema },
  { of: "`upsample`", schema: S.UpsampleSchema },
  { of: "`upsample1d`", schema: S.Upsample1dSchema },
  { of: "`reshape`", schema: S.ReshapeSchema },
  { of: "`transpose`", schema: S.TransposeSchema },
  { of: "`slice`", schema: S.SliceSchema },
  { of: "`concatenate`", schema: S.ConcatenateSchema },
  { of: "`adaptiveAveragePool`", schema: S.AdaptiveAveragePoolSchema },
  { of: "`adaptiveAveragePool1d`", schema: S.AdaptiveAveragePool1dSchema },
  { of: "`dropout`", schema: S.DropoutSchema },
  { of: "`scale`", schema: S.ScaleSchema as Part },
  { of: "`gain`", schema: S.GainSchema as Part },
  { of: "`delay`", schema: S.DelaySchema as Part },
  { of: "`recurrent`", schema: S.RecurrentSchema as Part },
  { of: "`Trainer.step`", schema: S.Train.StepSchema as Part },
  { of: "layer of `backend-native`", schema: NativeSchema as Part },
  { of: "layer of `backend-wasm`", schema: WasmSchema as Part },
  { of: "`fromModule` of `backend-wasm`", schema: MemorySchema as Part },
  { of: "layers of `backend-tfjs`", schema: TfjsSchema as Part },
  {
    of: "`open`",
    schema: OpenSchema as Part,
    settings: same("dataDir", "seed", "augment", "size", "split", "sensor", "columns", "encoding", "duration"),
  },
  { of: "`openInWorkers`", schema: WorkersSchema as Part, settings: same("workers") },
  { of: "`batches`", schema: BatchSchema as Part, settings: same("limit") },
  { of: "`makeShapes`", schema: ShapesSchema as Part },
  { of: "`imageSplit`", schema: ImageSplitSchema as Part },
  { of: "`eventSplit`", schema: EventSplitSchema as Part },
  { of: "`download`", schema: DownloadSchema as Part },
  { of: "`Camera.record`", schema: Camera.CameraSchema as Part },
  ...transforms("ImageTransforms", ImageTransforms.schemas),
  ...transforms("EventTransforms", EventTransforms.schemas),
]

/** Options of the inference path, which is free of Schemas and checks them by hand; a test verifies that it accepts the same values. */
export const byHand = {
  predict: Schema.Struct({
    margin: Schema.optionalKey(Schema.Number.check(S.Options.must("a number of at least 0", (x) => x >= 0))),
  }),
  load: MemorySchema,
}

/** The Schema of an option's values. */
export const value = (part: Part): Part => S.Options.withoutOptional(part)

/** The range of an option in words. */
const range = (part: Part): string => {
  const inner = value(part)
  const expected = S.Options.expectedOf(inner)
  if (expected !== undefined) return expected
  if (inner.fields) return "see its own rows"
  if (inner.value) return `a list, each ${range(inner.value)}`
  return S.Options.faultIn(inner as never, Symbol("no value"))?.expected ?? "anything"
}

const flagOf = (setting: string) => `\`${flagName(setting)}\``

const settings: Readonly<{ [setting: string]: Part }> = RunConfig.fields

const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")

/** Renders the page. */
export const render = (): string => {
  const ofLibrary = records.flatMap(({ of, schema: { fields = {} }, settings: flags = {} }) =>
    Object.entries(fields)
      .filter(([option]) => !["key", "term", "code"].includes(option))
      .map(([option, part]) => {
        const own = settings[flags[option] ?? ""]
        const both =
          own && (value(own) === value(part) ? "both, by one Schema" : `both; the command line: ${range(own)}`)
        return [of, `\`${option}\``, range(part), own ? flagOf(flags[option] as string) : "", both ?? "library"]
      }),
  )
  const shared = new Set<string>(records.flatMap(({ settings: flags = {} }) => Object.values(flags)))
  const ofCommandLine = Object.entries(settings)
    .filter(([setting]) => !shared.has(setting))
    .map(([setting, part]) => [flagOf(setting), range(part)])
  const ofCommands = Object.entries(commandFlags).flatMap(([command, { fields }]) =>
    Object.entries<Part>(fields).map(([flag, part]) => [`\`${command}\``, flagOf(flag), range(part)]),
  )
  const ofInference = Object.entries(byHand).flatMap(([name, schema]) =>
    Object.entries((schema as Part).fields ?? {}).map(([option, part]) => [
      `\`${name}\` of \`backend-wasm/infer\``,
      ...[`\`${option}\``, range(part), "", "library, by hand"],
    ]),
  )
  return [
    "# Options and their ranges",
    "",
    "Made by `bun apps/cli/src/options-table.ts` from the Schemas that check the options; a test holds it to them. Options that are not",
    "known, and those of the wrong type, are refused as well.",
    "",
    "## Library",
    "",
    table(["of", "option", "range", "command line", "checked by"], [...ofLibrary, ...ofInference]),
    "",
    "## Command line only",
    "",
    table(["flag, and setting of a config file", "range"], ofCommandLine),
    "",
    "## Flags of single commands",
    "",
    table(["command", "flag", "range"], ofCommands),
    "",
  ].join("\n")
}

export const file = new URL("../../../docs/options.md", import.meta.url)

if (import.meta.main) writeFileSync(file, render())
