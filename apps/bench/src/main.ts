/** `bun run bench`: what this is worth on this machine, and how the project keeps itself honest. */
import { availableParallelism } from "node:os"
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
import { workloads } from "./workloads.ts"

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

/** Names out of those that there are, with commas between them. */
const names = (name: string, known: ReadonlyArray<string>, description: string) =>
  maybe(
    Flag.String(name).pipe(
      Flag.map((text) => text.split(",")),
      Flag.filter(
        (chosen) => chosen.every((each) => known.includes(each)),
        (chosen) => `--${name} ${chosen.join(",")}: there are ${known.join(", ")}`,
      ),
    ),
    `${description}: ${known.join(", ")}; with commas between them`,
  )

const machine = availableParallelism()

/** What all suites understand. */
const settings = {
  quick: Flag.Boolean("quick").pipe(
    Flag.withDefault(false),
    Flag.withDescription("small cases and few rounds: some minutes for all suites"),
  ),
  backends: names("backends", backendNames, "which backends, where not the suite's own"),
  threads: list("threads", machine === 1 ? "1" : `1,${machine}`, "numbers of threads, with commas between them").pipe(
    Flag.map((counts) => counts.map(Number)),
    Flag.filter(
      (counts) => counts.every((count) => Number.isInteger(count) && count >= 1),
      () => "--threads takes whole numbers, at least 1, with commas between them",
    ),
  ),
  rounds: maybe(
    Flag.Int("rounds").pipe(
      Flag.filter(
        (value) => value >= 1,
        (value) => `--rounds is ${value}; it must be at least 1`,
      ),
    ),
    "timed rounds through all subjects in turn; default as many as the time allows",
  ),
  mnist: maybe(Flag.String("mnist"), "a folder with MNIST: step trains on it before timing, train learns it"),
  python: maybe(
    Flag.String("python"),
    "a Python that has PyTorch, snnTorch, SpikingJelly; default the first on the PATH",
  ),
  scripts: maybe(
    Flag.String("scripts"),
    "a folder with a bench.py of somebody else, timed beside: see src/peers/script.ts",
  ),
  out: maybe(Flag.String("out"), "the folder for results and report; default runs/bench-…"),
}

const suiteCommands = suites
  .filter(({ name }) => !["step", "peers", "gpu"].includes(name))
  .map((suite) =>
    Command.make(suite.name, settings, (chosen) => run([suite], chosen)).pipe(Command.withDescription(suite.about)),
  )

/** Suites whose commands have settings of their own follow. */
const stepCommand = Command.make(
  "step",
  {
    ...settings,
    models: names("models", Models.modelNames, "models, instead of the usual four iterations"),
    policies: names("policies", Policy.policyNames, "policies, where models are given; default sltt"),
    k: atLeastOne("k", 1, "the steps of tbptt and slttk"),
    timeSteps: list("time-steps", "4", "time steps T, where models are given").pipe(Flag.map((all) => all.map(Number))),
    batchSize: list("batch-size", "64", "samples per batch, where models are given").pipe(
      Flag.map((all) => all.map(Number)),
    ),
  },
  ({ models, policies = ["sltt"], k, timeSteps, batchSize, ...chosen }) => {
    const policyOf = (name: string) => {
      const policy = Policy.policies[name as Policy.PolicyName]
      return typeof policy === "function" ? policy(k) : policy
    }
    const product = (models ?? []).flatMap((model) =>
      policies.flatMap((policy) =>
        timeSteps.flatMap((T) =>
          batchSize.map((batch) => ({
            ...{ model: model as Models.ModelName, policy: policyOf(policy), timeSteps: T, batchSize: batch },
          })),
        ),
      ),
    )
    return run([stepOf(models === undefined ? workloads : product)], chosen)
  },
).pipe(Command.withDescription("one training iteration: models × policies × T × batch × backends × threads"))

const peersCommand = Command.make(
  "peers",
  {
    ...settings,
    models: names("models", [...peerModels.usual, ...peerModels.others], "which networks; default conv and mlp"),
  },
  ({ models, ...chosen }) => run([peersOf(models)], chosen),
).pipe(Command.withDescription(peers.about))

const gateCommand = Command.make(
  "gate",
  {
    renew: Flag.Boolean("renew").pipe(
      Flag.withDefault(false),
      Flag.withDescription("keep what is planned now as what is expected"),
    ),
  },
  gate,
).pipe(Command.withDescription("Fails where memory or work grew, or a ratio fell below its floor; a minute"))

const reportCommand = Command.make(
  "report",
  {
    file: Argument.String("results").pipe(Argument.withDescription("results.jsonl of a run")),
    markdown: Flag.Boolean("markdown").pipe(
      Flag.withDefault(false),
      Flag.withDescription("print the tables of docs/benchmarks.md instead of writing the page"),
    ),
  },
  report,
).pipe(Command.withDescription("Make the page of a run again, or the tables of docs/benchmarks.md from it"))

const backend = Flag.Literals("backend", backendNames).pipe(
  Flag.withDefault("native"),
  Flag.withDescription("the backend that is timed"),
)

const dataCommand = Command.make(
  "data",
  {
    dataset: Flag.String("dataset").pipe(Flag.withDefault("shapes"), Flag.withDescription("the data set that is read")),
    dataDir: maybe(Flag.String("data-dir"), "where its files are"),
    workers: list("workers", "0,1,2", "numbers of workers, with commas between them").pipe(
      Flag.map((counts) => counts.map(Number)),
      Flag.filter(
        (counts) => counts.every((count) => Number.isInteger(count) && count >= 0),
        () => "--workers takes whole numbers with commas between them",
      ),
    ),
    batchSize: atLeastOne("batch-size", 32, "samples per batch"),
    batches: atLeastOne("batches", 20, "batches that are read; an epoch at most"),
    busy: atLeastOne("busy", 500, "milliseconds for which the training thread is busy with a batch"),
  },
  data,
).pipe(Command.withDescription("Time the making of samples, with workers and without"))

const reproduceCommand = Command.make(
  "reproduce",
  {
    backend,
    threads: atLeastOne("threads", machine, "threads"),
    models: list("models", networkNames.join(","), "which networks, with commas between them").pipe(
      Flag.filter(
        (names) => names.every((name) => networkNames.includes(name)),
        (names) => `--models ${names.join(",")}: there are ${networkNames.join(", ")}`,
      ),
    ),
    batchSize: atLeastOne("batch-size", 8, "samples per batch"),
    width: Flag.Finite("width").pipe(
      Flag.filter(
        (width) => width > 0,
        (width) => `--width is ${width}; it must be above 0`,
      ),
      Flag.withDefault(1),
      Flag.withDescription("a factor of all channels, besides the 1/4 of nfresnet34"),
    ),
    rounds: atLeastOne("rounds", 5, "timed rounds through the policies in turn"),
  },
  reproduce,
).pipe(
  Command.withDescription(
    "The SLTT paper's table of time and memory on this machine; its accuracies: bun run bench accuracy",
  ),
)

const accuracyCommand = Command.make(
  "accuracy",
  {
    policies: list("policies", accuracyPolicies.join(","), "which policies, with commas between them").pipe(
      Flag.filter(
        (chosen) => chosen.every((name) => accuracyPolicies.includes(name)),
        (chosen) => `--policies ${chosen.join(",")}: there are ${accuracyPolicies.join(", ")}`,
      ),
    ),
    k: atLeastOne("k", 1, "the time steps that SLTT-K trains"),
    seeds: atLeastOne("seeds", 3, "how many seeds, from 0 on"),
    out: maybe(Flag.String("out"), "the folder of the runs; default runs/accuracy-…"),
    settings: {
      dataset: maybe(Flag.String("dataset"), "as for bun run train, and so are the flags below"),
      dataDir: maybe(Flag.String("data-dir"), "where the data set's files are; nothing is downloaded then"),
      limit: maybe(Flag.Int("limit"), "only the first so many training and test samples"),
      model: maybe(Flag.String("model"), "the network"),
      width: maybe(Flag.Finite("width"), "a factor of the model's channels"),
      timeSteps: maybe(Flag.Int("time-steps"), "time steps T"),
      tau: maybe(Flag.Finite("tau"), "membrane time constant"),
      batchSize: maybe(Flag.Int("batch-size"), "samples per batch"),
      epochs: maybe(Flag.Int("epochs"), "passes through the training samples"),
      lr: maybe(Flag.Finite("lr"), "learning rate"),
      optimizer: maybe(Flag.String("optimizer"), "sgd, adam or adamw"),
      schedule: maybe(Flag.String("schedule"), "how the learning rate goes down"),
      lossMix: maybe(Flag.Finite("loss-mix"), "β of the squared error in the loss"),
      backend: maybe(Flag.String("backend"), "the backend"),
    },
  },
  accuracy,
).pipe(
  Command.withDescription(
    "The test accuracy, and seconds an epoch, of BPTT, SLTT and SLTT-K on the same data and seeds",
  ),
)

const gpuCommand = Command.make(
  "gpu",
  {
    models: list("models", gpuModels.join(","), "which networks, with commas between them").pipe(
      Flag.filter(
        (chosen) => chosen.every((name) => gpuModels.includes(name)),
        (chosen) => `--models ${chosen.join(",")}: there are ${gpuModels.join(", ")}`,
      ),
    ),
    rounds: atLeastOne("rounds", 9, "timed rounds through the backends in turn"),
  },
  gpu,
).pipe(
  Command.withDescription(
    "an iteration on WebGPU beside TensorFlow.js's, and beside the adapter's peak; also on software",
  ),
)

const all = {
  ...settings,
  suites: names(
    "suites",
    suites.map(({ name }) => name),
    "which suites; default all",
  ),
  compare: maybe(Flag.String("compare"), "compare two runs instead: --compare A.jsonl B.jsonl"),
  other: Argument.String("other").pipe(
    Argument.withDescription("with --compare, the newer of the two runs"),
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
    Command.withDescription("What this is worth on this machine: all suites, in at most half an hour on two cores"),
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
