/** The command line. Commands import their modules when they run, so that help stays fast. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { runMain } from "./run-main.ts"

/** Optional flags by type. */
const text = (name: string, description: string) => optional(Flag.String(name), description)
const whole = (name: string, description: string) => optional(Flag.Int(name), description)
const number = (name: string, description: string) => optional(Flag.Finite(name), description)
const optional = <A>(flag: Flag.Flag<A>, description: string) =>
  flag.pipe(Flag.withDescription(description), Flag.optional, Flag.map(Option.getOrUndefined))
const json = Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("print the result as JSON"))

const distributed = Flag.Boolean("distributed").pipe(
  Flag.withDefault(false),
  Flag.withDescription("share the work with the other processes that mpirun, or srun, started"),
)

const runArgument = Argument.String("run").pipe(Argument.withDescription("directory of a run"))
const runOrProgram = Argument.String("run").pipe(
  Argument.withDescription("directory of a run, or a program file together with --dataset"),
)
const dataset = text(
  "dataset",
  "shapes (default), heartbeats, mnist, fashion-mnist, cifar10, cifar100, nmnist, dvs-gesture, cifar10-dvs, shd, ssc, image-folder, events-folder, audio-folder, arrays or optdigits; or a module like ./data.ts",
)
const model = text(
  "model",
  "mlp, conv (default), recurrent, cnn1d, mobilenet, resnet18, resnet34, vgg11, vgg13, vgg16, nfresnet34, nfresnet50 or nfresnet101; or a file: a module like ./net.ts, a graph.json, a .nir",
)
const width = number("width", "factor for the model's channels; default 1")
const dropout = number("dropout", "share of the activations dropped in training; default 0")
const tau = number("tau", "membrane time constant τ in steps, at least 1; decay λ = 1 − 1/τ")
const surrogate = text("surrogate", "triangle (default), rectangle, sigmoid, atan or fastSigmoid")
const config = text("config", "JSON file of settings; flags take precedence")
const out = text("out", "directory of the run; default runs/…")
/** The discretisation of a NIR network, for import and export. */
const nir = {
  dt: number("dt", "NIR: length of a time step, in the unit of the file's time constants; default 1e-4"),
  scheme: text("scheme", "NIR: euler (default), decay 1 − dt/τ, or exact, e^(−dt/τ)"),
  reset: text("reset", "NIR: value (default) resets the potential to v_reset, subtract subtracts the threshold"),
  compare: text(
    "compare",
    "NIR: a neuron fires if its potential is greater (default) than the threshold, or atLeast it",
  ),
  synapse: text("synapse", "NIR: filter (default), or jump: a spike adds w_in to the current directly"),
  start: text("start", "NIR: the potential before the first step: zero (default), leak or reset"),
}
const preset = text("preset", "naming of the tensors in a file of another library: snntorch or spikingjelly")
const policy = text("policy", "bptt, bptt-checkpoint, tbptt, sltt (default), slttk, ottt, eprop or rate")
const k = whole("k", "slttk: trained time steps; tbptt: steps that gradient crosses")
const recompute = optional(
  Flag.Boolean("recompute"),
  "recompute layer outputs in the backward pass instead of storing them: less memory, the same gradients",
)
const timeSteps = whole("time-steps", "time steps T")
const batchSize = whole("batch-size", "samples per batch")
const microBatches = whole(
  "micro-batches",
  "number of parts that a batch is split into, processed one after the other: less memory",
)
const lr = number("lr", "learning rate")
const seed = whole("seed", "seed of everything random")
const optimizer = text("optimizer", "adam (default), sgd, adamw or another: docs/options.md lists them")
/** Learning-rate schedule, optimiser options, gradient clipping and loss. */
const learning = {
  schedule: text("schedule", "learning-rate schedule: cosine (default), step or constant"),
  warmUp: number("warm-up", "epochs over which the learning rate rises to --lr; default 0"),
  stepSize: number("step-size", "schedule step: epochs between two steps; default 1"),
  gamma: number("gamma", "schedule step: factor of the learning rate at each step; default 0.1"),
  momentum: number("momentum", "sgd: momentum; default 0.9"),
  weightDecay: number("weight-decay", "weight decay; the default depends on the optimizer"),
  clipNorm: number("clip-norm", "maximum norm of all gradients together; larger ones are scaled down"),
  clipValue: number("clip-value", "maximum absolute value of a gradient element; larger ones are clipped"),
  lossMix: number("loss-mix", "share of the squared error in the loss, the rest being cross-entropy; default 0.05"),
  lossTarget: text("loss-target", "target of the squared error: ones (default) or one-hot"),
}
const backend = text(
  "backend",
  "native (default where it can be built), wasm, webgpu, tfjs-wasm, tfjs-webgpu, tfjs-cpu or reference",
)
const dataDir = text("data-dir", "directory of the data set's files; nothing is downloaded")
const size = whole(
  "size",
  "width and height of the samples of dvs-gesture, cifar10-dvs, image-folder and events-folder",
)
/** Options for reading custom data. */
const reading = {
  split: number(
    "split",
    "share of the samples used for testing if events-folder, audio-folder or arrays have no test split; default 0.2",
  ),
  sensor: text("sensor", "events-folder: WIDTHxHEIGHT of the camera if the files do not give it").pipe(
    Flag.map((sides) => sides?.split("x").map((side) => (/^\d+$/.test(side) ? Number(side) : side))),
  ),
  columns: text("columns", "events-folder: columns of arrays without names, such as x,y,t,p").pipe(
    Flag.map((names) => names?.split(",")),
  ),
  encoding: text("encoding", "arrays: frames or static; default frames if inputs have 3 or 5 axes, [N, T, …]"),
  duration: number("duration", "audio-folder: seconds to which recordings are cut or padded; default 1"),
}
const workers = whole(
  "workers",
  "threads that prepare samples; the default depends on the data set; results do not depend on it",
)
const limit = whole("limit", "use only the first N training and test samples")

const train = Command.make(
  "train",
  {
    config,
    out,
    resume: text("resume", "directory of a run to continue"),
    distributed,
    json,
    settings: {
      dataset,
      dataDir,
      limit,
      size,
      ...reading,
      augment: text(
        "augment",
        "comma-separated augmentations, in order: crop, cutout, flip, roll, resized-crop; or none; the default depends on the data set",
      ).pipe(Flag.map((names) => (names === "none" ? [] : names?.split(",")))),
      workers,
      tensorboard: optional(
        Flag.Boolean("tensorboard"),
        "write TensorBoard's event files too, into tensorboard of the run's directory",
      ),
      model,
      width,
      dropout,
      freeze: text(
        "freeze",
        "comma-separated names or patterns of weights that are not trained, such as 'features.*'",
      ).pipe(Flag.map((names) => names?.split(","))),
      init: text("init", "a run, or a .safetensors, .pt or .pth file, to take the initial parameters from"),
      preset,
      policy,
      k,
      recompute,
      backend,
      timeSteps,
      tau,
      surrogate,
      batchSize,
      microBatches,
      epochs: whole("epochs", "passes through the training samples"),
      lr,
      ...learning,
      optimizer,
      seed,
    },
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/train.ts")),
      (_) => _.train(flags),
    ),
).pipe(Command.withDescription("Train a network"))

const checkpoint = Flag.String("checkpoint").pipe(
  Flag.withDescription("checkpoint of the run: last (default) or best"),
  Flag.withDefault("last"),
)

const plan = Command.make(
  "plan",
  {
    compare: Flag.Boolean("compare").pipe(
      Flag.withDefault(false),
      Flag.withDescription("show bptt, sltt, slttk and rate side by side"),
    ),
    program: Flag.Boolean("program").pipe(
      Flag.withDefault(false),
      Flag.withDescription("also print the program: its segments, instructions and buffers"),
    ),
    config,
    json,
    backend: text("backend", "native, wasm, webgpu or reference: adds the workspace of its kernels"),
    ranks: whole("ranks", "plan training on 1 to this many processes: memory, bytes and time of the exchange"),
    bandwidth: text("bandwidth", "with --ranks: of each process's link, as 10Gb or 1.2GB a second; default 10Gb"),
    latency: text("latency", "with --ranks: of a message, as 50us; default 50us"),
    step: text("step", "with --ranks: time of a training step on one process, as 120ms; adds the efficiency"),
    settings: {
      dataset,
      dataDir,
      size,
      ...reading,
      model,
      width,
      dropout,
      policy,
      k,
      recompute,
      timeSteps,
      batchSize,
      microBatches,
      optimizer,
    },
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/plan.ts")),
      (_) => _.plan(flags),
    ),
).pipe(Command.withDescription("Show what training costs before it runs: memory and operations of a batch"))

const compare = Command.make(
  "compare",
  {
    run: Argument.String("run").pipe(
      Argument.withDescription("directory of a run whose weights are used; otherwise new weights"),
      Argument.optional,
      Argument.map(Option.getOrUndefined),
    ),
    checkpoint,
    config,
    policies: Flag.String("policies").pipe(
      Flag.withDefault("bptt,sltt,slttk"),
      Flag.withDescription("comma-separated names"),
    ),
    batches: Flag.Int("batches").pipe(Flag.withDefault(5), Flag.withDescription("batches to average over")),
    train: Flag.Int("train").pipe(Flag.withDefault(0), Flag.withDescription("updates of bptt before the comparison")),
    json,
    settings: {
      dataset,
      dataDir,
      limit,
      size,
      ...reading,
      model,
      width,
      dropout,
      k,
      backend,
      timeSteps,
      tau,
      surrogate,
      batchSize,
      lr,
      optimizer,
      seed,
    },
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/compare.ts")),
      (_) => _.compare(flags),
    ),
).pipe(Command.withDescription("Compare the gradients of policies with those of BPTT, layer by layer"))

const evaluate = Command.make(
  "eval",
  {
    directory: runOrProgram,
    checkpoint,
    distributed,
    margins: text(
      "margins",
      "comma-separated margins for early exit: a sample stops once its first class leads the second by the margin (runs on wasm)",
    ),
    json,
    settings: { backend, dataset, dataDir, size, limit, workers },
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/eval.ts")),
      (_) => _.evaluateRun(flags),
    ),
).pipe(Command.withDescription("Test the network of a run, or of a program file"))

const inspect = Command.make(
  "inspect",
  { directory: runOrProgram, checkpoint, json, settings: { backend, dataset, dataDir, size, workers } },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/inspect.ts")),
      (_) => _.inspect(flags),
    ),
).pipe(
  Command.withDescription(
    "Show the parameters and firing rates of a run, with charts of its loss, accuracy and spikes",
  ),
)

const verify = Command.make(
  "verify",
  {
    directory: Argument.String("directory").pipe(
      Argument.withDescription("golden files; see packages/core/src/testing/golden.ts"),
    ),
    json,
    settings: { backend },
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/verify.ts")),
      (_) => _.verify(flags),
    ),
).pipe(Command.withDescription("Compare a backend with gradients computed by PyTorch"))

const importWeights = Command.make(
  "import",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription("state dict: a .pt or .pth file of torch.save, or safetensors; or a .nir file"),
    ),
    config,
    out,
    nir,
    settings: {
      ...{ dataset, dataDir, size, ...reading, model, width, dropout },
      ...{ preset, policy, k, backend, timeSteps, tau, surrogate, batchSize, optimizer },
    },
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/import.ts")),
      (_) => _.importWeights(flags),
    ),
).pipe(
  Command.withDescription(
    "Make a run from weights trained in PyTorch or from a NIR file, for eval, train --resume and train --init",
  ),
)

const exportWeights = Command.make(
  "export",
  {
    directory: runArgument,
    checkpoint,
    format: Flag.String("format").pipe(
      Flag.withDescription(
        "safetensors: weights for PyTorch (default); program: a program with its weights, for inference without the compiler; nir: the network as NIR",
      ),
      Flag.withDefault("safetensors"),
    ),
    batchSize: whole("batch-size", "program: batch size; default 1"),
    timeSteps: whole("time-steps", "program: time steps of a sample; default: as in the run"),
    out: text(
      "out",
      "new file; default weights.safetensors, program.safetensors or network.nir in the run's directory",
    ),
    nir,
  },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./commands/export.ts")),
      (_) => _.exportWeights(flags),
    ),
).pipe(
  Command.withDescription("Write the weights of a run for PyTorch, or its network as a program for the edge or as NIR"),
)

const doctor = Command.make("doctor", { json }, (flags) =>
  Effect.flatMap(
    Effect.promise(() => import("./commands/doctor.ts")),
    (_) => _.doctor(flags),
  ),
).pipe(Command.withDescription("Show what works on this machine"))

const root = Command.make("bun run").pipe(
  Command.withDescription("Spiking neural networks: training, plans, checks"),
  Command.withSubcommands([train, plan, compare, evaluate, inspect, verify, importWeights, exportWeights, doctor]),
)

runMain(root)
