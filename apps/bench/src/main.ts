/** `bun run bench`: benchmarks on this machine, and the checks that guard memory, work and speed. */
import { availableParallelism } from "node:os"
import { fromFlags, resolve } from "@spikeroute/cli/config"
import { nameOf, networkFor } from "@spikeroute/cli/network"
import { sampleFor } from "@spikeroute/cli/run"
import { runMain } from "@spikeroute/cli/run-main"
import { Models, Policy } from "@spikeroute/core"
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { backendNames } from "./backends.ts"
import { compare } from "./commands/compare.ts"
import { gate } from "./commands/gate.ts"
import { report } from "./commands/report.ts"
import { run } from "./commands/run.ts"
import { accuracy, accuracyPolicies } from "./suites/accuracy.ts"
import { data } from "./suites/data.ts"
import { gpu, gpuModels } from "./suites/gpu.ts"
import { suites } from "./suites/index.ts"
import { peerModels, peers, peersOf } from "./suites/peers.ts"
import { networkNames, reproduce } from "./suites/reproduce.ts"
import { stepOf } from "./suites/step.ts"
import { type Workload, workloads } from "./workloads.ts"

const atLeastOne = (name: string, usual: number, description: string) =>
  Flag.Int(name).pipe(
    Flag.filter(
      (value) => value >= 1,
      (value) => `--${name} is ${value}; it must be at least 1`,
    ),
    Flag.withDefault(usual),
    Flag.withDescription(description),
  )

const list = (name: string, usual: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withDefault(usual),
    Flag.withDescription(description),
    Flag.map((text) => text.split(",")),
  )

const maybe = <A>(flag: Flag.Flag<A>, description: string) =>
  flag.pipe(Flag.optional, Flag.map(Option.getOrUndefined), Flag.withDescription(description))

/** A comma-separated list of known names. */
const names = (name: string, known: ReadonlyArray<string>, description: string) =>
  maybe(
    Flag.String(name).pipe(
      Flag.map((text) => text.split(",")),
      Flag.filter(
        (chosen) => chosen.every((each) => known.includes(each)),
        (chosen) => `--${name} ${chosen.join(",")}: known names are ${known.join(", ")}`,
      ),
    ),
    `${description}: ${known.join(", ")}; comma-separated`,
  )

const machine = availableParallelism()

/** Flags of all suites. */
const settings = {
  quick: Flag.Boolean("quick").pipe(
    Flag.withDefault(false),
    Flag.withDescription("small cases and few rounds: a few minutes for all suites"),
  ),
  backends: names("backends", backendNames, "backends, instead of each suite's default"),
  threads: list("threads", machine === 1 ? "1" : `1,${machine}`, "numbers of threads, comma-separated").pipe(
    Flag.map((counts) => counts.map(Number)),
    Flag.filter(
      (counts) => counts.every((count) => Number.isInteger(count) && count >= 1),
      () => "--threads takes integers of at least 1, comma-separated",
    ),
  ),
  rounds: maybe(
    Flag.Int("rounds").pipe(
      Flag.filter(
        (value) => value >= 1,
        (value) => `--rounds is ${value}; it must be at least 1`,
      ),
    ),
    "number of timed rounds; default: as many as the time allows",
  ),
  mnist: maybe(Flag.String("mnist"), "folder with MNIST, used by the suites step, peers and train"),
  python: maybe(
    Flag.String("python"),
    "a Python with PyTorch, snnTorch and SpikingJelly; default: the first on the PATH",
  ),
  out: maybe(Flag.String("out"), "folder for results and report; default runs/bench-…"),
}

const suiteCommands = suites
  .filter(({ name }) => !["step", "peers", "gpu"].includes(name))
  .map((suite) =>
    Command.make(suite.name, settings, (chosen) => run([suite], chosen)).pipe(Command.withDescription(suite.about)),
  )

/** Suites whose commands have additional flags follow. */
const stepCommand = Command.make(
  "step",
  {
    ...settings,
    models: names("models", Models.modelNames, "models, instead of the default workloads"),
    model: maybe(Flag.String("model"), "a network from a file, as in bun run train, instead of --models"),
    dataset: maybe(Flag.String("dataset"), "data set that sets the sample shape of --model; default mnist"),
    policies: names("policies", Policy.policyNames, "policies, with --models; default sltt"),
    k: atLeastOne("k", 1, "k of tbptt and slttk"),
    timeSteps: list("time-steps", "4", "time steps T, with --models").pipe(Flag.map((all) => all.map(Number))),
    batchSize: list("batch-size", "64", "samples per batch, with --models").pipe(Flag.map((all) => all.map(Number))),
  },
  ({ models, model: file, dataset, policies = ["sltt"], k, timeSteps, batchSize, ...chosen }) => {
    const policyOf = (name: string) => {
      const policy = Policy.policies[name as Policy.PolicyName]
      return typeof policy === "function" ? policy(k) : policy
    }
    const product = (networks: ReadonlyArray<Pick<Workload, "model" | "graph" | "shape" | "encoding">>) =>
      networks.flatMap((network) =>
        policies.flatMap((policy) =>
          timeSteps.flatMap((T) =>
            batchSize.map((batch) => ({ ...network, policy: policyOf(policy), timeSteps: T, batchSize: batch })),
          ),
        ),
      )
    return Effect.gen(function* () {
      if (file === undefined)
        return yield* run(
          [stepOf(models === undefined ? workloads : product(models.map((model) => ({ model }))))],
          chosen,
        )
      const config = resolve(yield* fromFlags({ model: file, dataset: dataset ?? "mnist" }))
      const { shape, classes, encoding } = yield* sampleFor(config)
      const { graph } = yield* networkFor(config, { shape, classes })
      return yield* run([stepOf(product([{ model: nameOf(file), graph, shape, encoding }]))], chosen)
    })
  },
).pipe(Command.withDescription("One training iteration: models × policies × T × batch × backends × threads"))

const peersCommand = Command.make(
  "peers",
  {
    ...settings,
    models: names("models", [...peerModels.usual, ...peerModels.others], "networks; default conv and mlp"),
  },
  ({ models, ...chosen }) => run([peersOf(models)], chosen),
).pipe(Command.withDescription(peers.about))

const gateCommand = Command.make(
  "gate",
  {
    renew: Flag.Boolean("renew").pipe(
      Flag.withDefault(false),
      Flag.withDescription("store the current plans as the expected ones"),
    ),
  },
  gate,
).pipe(Command.withDescription("Fails if memory or work grew, or a ratio fell below its floor; takes a minute"))

const reportCommand = Command.make(
  "report",
  {
    file: Argument.String("results").pipe(Argument.withDescription("results.jsonl of a run")),
    markdown: Flag.Boolean("markdown").pipe(
      Flag.withDefault(false),
      Flag.withDescription("print the tables of docs/benchmarks.md instead of writing the report"),
    ),
  },
  report,
).pipe(Command.withDescription("Write the HTML report of a run, or print its tables for docs/benchmarks.md"))

const backend = Flag.Literals("backend", backendNames).pipe(
  Flag.withDefault("native"),
  Flag.withDescription("backend to time"),
)

const dataCommand = Command.make(
  "data",
  {
    dataset: Flag.String("dataset").pipe(Flag.withDefault("shapes"), Flag.withDescription("data set to read")),
    dataDir: maybe(Flag.String("data-dir"), "folder of its files"),
    workers: list("workers", "0,1,2", "numbers of workers, comma-separated").pipe(
      Flag.map((counts) => counts.map(Number)),
      Flag.filter(
        (counts) => counts.every((count) => Number.isInteger(count) && count >= 0),
        () => "--workers takes integers of at least 0, comma-separated",
      ),
    ),
    batchSize: atLeastOne("batch-size", 32, "samples per batch"),
    batches: atLeastOne("batches", 20, "number of batches, at most one epoch"),
    busy: atLeastOne("busy", 500, "milliseconds that the simulated training thread is busy per batch"),
  },
  data,
).pipe(Command.withDescription("Time the creation of samples, with and without workers"))

const reproduceCommand = Command.make(
  "reproduce",
  {
    backend,
    threads: atLeastOne("threads", machine, "threads"),
    models: list("models", networkNames.join(","), "networks, comma-separated").pipe(
      Flag.filter(
        (names) => names.every((name) => networkNames.includes(name)),
        (names) => `--models ${names.join(",")}: known networks are ${networkNames.join(", ")}`,
      ),
    ),
    batchSize: atLeastOne("batch-size", 8, "samples per batch"),
    width: Flag.Finite("width").pipe(
      Flag.filter(
        (width) => width > 0,
        (width) => `--width is ${width}; it must be above 0`,
      ),
      Flag.withDefault(1),
      Flag.withDescription("factor of all channels, on top of the 1/4 of nfresnet34"),
    ),
    rounds: atLeastOne("rounds", 5, "timed rounds of all policies in turn"),
  },
  reproduce,
).pipe(
  Command.withDescription(
    "Time and memory of the SLTT paper's networks on this machine; for accuracies: bun run bench accuracy",
  ),
)

const accuracyCommand = Command.make(
  "accuracy",
  {
    policies: list("policies", accuracyPolicies.join(","), "policies, comma-separated").pipe(
      Flag.filter(
        (chosen) => chosen.every((name) => accuracyPolicies.includes(name)),
        (chosen) => `--policies ${chosen.join(",")}: known policies are ${accuracyPolicies.join(", ")}`,
      ),
    ),
    k: atLeastOne("k", 1, "trained time steps of SLTT-K"),
    seeds: atLeastOne("seeds", 3, "number of seeds, from 0"),
    out: maybe(Flag.String("out"), "folder of the runs; default runs/accuracy-…"),
    settings: {
      dataset: maybe(Flag.String("dataset"), "as for bun run train, like the flags below"),
      dataDir: maybe(Flag.String("data-dir"), "folder of the data set's files; disables downloads"),
      limit: maybe(Flag.Int("limit"), "maximum number of training and of test samples"),
      model: maybe(Flag.String("model"), "the network"),
      width: maybe(Flag.Finite("width"), "factor of the model's channels"),
      timeSteps: maybe(Flag.Int("time-steps"), "time steps T"),
      tau: maybe(Flag.Finite("tau"), "membrane time constant"),
      batchSize: maybe(Flag.Int("batch-size"), "samples per batch"),
      epochs: maybe(Flag.Int("epochs"), "number of epochs"),
      lr: maybe(Flag.Finite("lr"), "learning rate"),
      optimizer: maybe(Flag.String("optimizer"), "sgd, adam or adamw"),
      schedule: maybe(Flag.String("schedule"), "learning rate schedule"),
      lossMix: maybe(Flag.Finite("loss-mix"), "β of the squared error in the loss"),
      backend: maybe(Flag.String("backend"), "the backend"),
    },
  },
  accuracy,
).pipe(
  Command.withDescription("Test accuracy and seconds per epoch of BPTT, SLTT and SLTT-K on the same data and seeds"),
)

const gpuCommand = Command.make(
  "gpu",
  {
    models: list("models", gpuModels.join(","), "networks, comma-separated").pipe(
      Flag.filter(
        (chosen) => chosen.every((name) => gpuModels.includes(name)),
        (chosen) => `--models ${chosen.join(",")}: known models are ${gpuModels.join(", ")}`,
      ),
    ),
    rounds: atLeastOne("rounds", 9, "timed rounds of all backends in turn"),
  },
  gpu,
).pipe(
  Command.withDescription(
    "An iteration on WebGPU compared with TensorFlow.js and the adapter's peak; also on a software adapter",
  ),
)

const all = {
  ...settings,
  suites: names(
    "suites",
    suites.map(({ name }) => name),
    "suites; default all",
  ),
  compare: maybe(Flag.String("compare"), "compare two runs: --compare A.jsonl B.jsonl"),
  other: Argument.String("other").pipe(
    Argument.withDescription("with --compare, the newer run"),
    Argument.optional,
    Argument.map(Option.getOrUndefined),
  ),
}

runMain(
  Command.make(
    "bun run bench",
    all,
    ({ suites: chosen = suites.map(({ name }) => name), compare: older, other, ...rest }) =>
      Effect.gen(function* () {
        if (older !== undefined || other !== undefined) return yield* compare(older, other)
        yield* run(
          suites.filter(({ name }) => chosen.includes(name)),
          rest,
        )
      }),
  ).pipe(
    Command.withDescription("Benchmarks on this machine: all suites take at most half an hour on two cores"),
    Command.withSubcommands([
      ...suiteCommands,
      stepCommand,
      peersCommand,
      gpuCommand,
      gateCommand,
      reportCommand,
      reproduceCommand,
      accuracyCommand,
      dataCommand,
    ]),
  ),
)
