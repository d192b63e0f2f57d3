/** The command line. Commands load what they need when they run, so that help is quick. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { runMain } from "./run-main.ts"

/** A flag that may be left out. */
const text = (name: string, description: string) => optional(Flag.String(name), description)
const whole = (name: string, description: string) => optional(Flag.Int(name), description)
const number = (name: string, description: string) => optional(Flag.Finite(name), description)
const optional = <A>(flag: Flag.Flag<A>, description: string) =>
  flag.pipe(Flag.withDescription(description), Flag.optional, Flag.map(Option.getOrUndefined))
const json = Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("print the result as JSON"))

const runArgument = Argument.String("run").pipe(Argument.withDescription("the directory of a run"))
const dataset = text(
  "dataset",
  "shapes (default), mnist, fashion-mnist, cifar10, cifar100, nmnist, dvs-gesture, cifar10-dvs, shd, image-folder, optdigits",
)
const model = text("model", "mlp or conv (default)")
const policy = text("policy", "bptt, tbptt, sltt (default) or slttk")
const k = whole("k", "slttk: trained time steps; tbptt: steps that gradient crosses")
const timeSteps = whole("time-steps", "time steps T")
const batchSize = whole("batch-size", "samples per batch")
const optimizer = text("optimizer", "sgd, adam (default) or adamw")
const backend = text("backend", "native (default where it can be built), wasm, tfjs-wasm, tfjs-cpu or reference")
const dataDir = text("data-dir", "where the data set's files are; nothing is downloaded then")
const size = whole("size", "width and height of samples: dvs-gesture, cifar10-dvs, image-folder")
const workers = whole("workers", "threads that make samples; default by data set; no bit depends on them")
const limit = whole("limit", "use only the first so many training and test samples")

const train = Command.make(
  "train",
  {
    config: text("config", "a JSON file of settings; flags win over it"),
    out: text("out", "the run's directory; default runs/…"),
    resume: text("resume", "the directory of a run to go on with"),
    json,
    settings: {
      dataset,
      dataDir,
      limit,
      size,
      augment: text(
        "augment",
        "augmentations in order, commas between them: crop, cutout, flip, roll, resized-crop; or none; default by data set",
      ).pipe(Flag.map((names) => (names === "none" ? [] : names?.split(",")))),
      workers,
      model,
      policy,
      k,
      backend,
      timeSteps,
      tau: number("tau", "membrane time constant τ in steps, at least 1; decay λ = 1 − 1/τ"),
      surrogate: text("surrogate", "triangle (default), rectangle, sigmoid, atan or fastSigmoid"),
      batchSize,
      epochs: whole("epochs", "passes through the training samples"),
      lr: number("lr", "learning rate"),
      optimizer,
      seed: whole("seed", "seed of everything random"),
    },
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/train.ts")),
      (_) => _.train(flags),
    ),
).pipe(Command.withDescription("Train a network"))

const checkpoint = Flag.Literals("checkpoint", ["last", "best"]).pipe(
  Flag.withDescription("which checkpoint of the run"),
  Flag.withDefault("last" as const),
)

const plan = Command.make(
  "plan",
  {
    compare: Flag.Boolean("compare").pipe(
      Flag.withDefault(false),
      Flag.withDescription("put bptt, sltt and slttk side by side"),
    ),
    program: Flag.Boolean("program").pipe(
      Flag.withDefault(false),
      Flag.withDescription("print the program too: its segments, instructions and buffers"),
    ),
    json,
    settings: { dataset, size, model, policy, k, timeSteps, batchSize, optimizer },
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/plan.ts")),
      (_) => _.plan(flags),
    ),
).pipe(Command.withDescription("Say what training costs before it runs: memory and operations of a batch"))

const evaluate = Command.make(
  "eval",
  { directory: runArgument, checkpoint, json, settings: { backend, dataDir, limit, workers } },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/eval.ts")),
      (_) => _.evaluateRun(flags),
    ),
).pipe(Command.withDescription("Test the network of a run"))

const inspect = Command.make(
  "inspect",
  { directory: runArgument, checkpoint, json, settings: { backend, dataDir, workers } },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/inspect.ts")),
      (_) => _.inspect(flags),
    ),
).pipe(Command.withDescription("Show the parameters of a run, how its layers fire, and charts of its loss and spikes"))

const verify = Command.make(
  "verify",
  {
    directory: Argument.String("directory").pipe(
      Argument.withDescription("golden files: see packages/core/src/testing/golden.ts"),
    ),
    json,
    settings: { backend },
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/verify.ts")),
      (_) => _.verify(flags),
    ),
).pipe(Command.withDescription("Hold a backend against gradients that PyTorch computed"))

const doctor = Command.make("doctor", { json }, (flags) =>
  Effect.flatMap(
    Effect.promise(() => import("./commands/doctor.ts")),
    (_) => _.doctor(flags),
  ),
).pipe(Command.withDescription("Say what works on this machine"))

const root = Command.make("bun run").pipe(
  Command.withDescription("Spiking neural networks: training, plans, checks"),
  Command.withSubcommands([train, plan, evaluate, inspect, verify, doctor]),
)

runMain(root)
