/** `bun run bench`: what training costs on this machine. */
import { availableParallelism } from "node:os"
import { runMain } from "@spikeroute/cli/run-main"
import { Option } from "effect"
import { Command, Flag } from "effect/cli"
import { backendNames } from "./backends.ts"
import { accuracy } from "./suites/accuracy.ts"
import { data } from "./suites/data.ts"
import { kernels } from "./suites/kernels.ts"
import { memory } from "./suites/memory.ts"
import { peers } from "./suites/peers.ts"
import { policies } from "./suites/policies.ts"
import { networkNames, reproduce } from "./suites/reproduce.ts"
import { step } from "./suites/step.ts"
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

const backends = (usual: string) =>
  list("backends", usual, `which of ${backendNames.join(", ")}; with commas between them`).pipe(
    Flag.filter(
      (names) => names.every((name) => backendNames.includes(name)),
      (names) => `--backends ${names.join(",")}: there are ${backendNames.join(", ")}`,
    ),
  )

const backend = Flag.Literals("backend", backendNames).pipe(
  Flag.withDefault("native"),
  Flag.withDescription("the backend that is timed"),
)

const machine = availableParallelism()
const threads = atLeastOne("threads", machine, "threads")
const rounds = atLeastOne("rounds", 7, "timed rounds through all cases in turn")

const stepCommand = Command.make(
  "step",
  {
    backends: backends("native,wasm,tfjs-wasm"),
    threads: list("threads", `1,${machine}`, "numbers of threads, with commas between them").pipe(
      Flag.map((counts) => counts.map(Number)),
      Flag.filter(
        (counts) => counts.every((count) => Number.isInteger(count) && count >= 1),
        () => "--threads takes whole numbers, at least 1, with commas between them",
      ),
    ),
    rounds,
    mnist: Flag.String("mnist").pipe(
      Flag.optional,
      Flag.map(Option.getOrUndefined),
      Flag.withDescription("a folder with MNIST: train for 100 steps on it before timing"),
    ),
  },
  (options) => step({ ...options, workloads }),
).pipe(Command.withDescription("Time one training iteration on several backends"))

const policiesCommand = Command.make(
  "policies",
  {
    backend,
    threads,
    timeSteps: atLeastOne("time-steps", 4, "time steps T"),
    batchSize: atLeastOne("batch-size", 64, "samples per batch"),
    rounds,
  },
  policies,
).pipe(Command.withDescription("Time one training iteration under BPTT, SLTT and SLTT-1"))

const kernelsCommand = Command.make(
  "kernels",
  { backends: backends("native,wasm"), threads: atLeastOne("threads", 1, "threads"), rounds },
  ({ backends, threads, rounds }) => kernels(backends, threads, rounds),
).pipe(Command.withDescription("Time linear maps and convolutions at several densities"))

const memoryCommand = Command.make("memory", { backends: backends("native,wasm"), threads }, ({ backends, threads }) =>
  memory(backends, threads),
).pipe(Command.withDescription("Measure how much a process grows by training"))

const optionalText = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.optional, Flag.map(Option.getOrUndefined), Flag.withDescription(description))

const dataCommand = Command.make(
  "data",
  {
    dataset: Flag.String("dataset").pipe(Flag.withDefault("shapes"), Flag.withDescription("the data set that is read")),
    dataDir: optionalText("data-dir", "where its files are"),
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

const peersCommand = Command.make(
  "peers",
  {
    python: Flag.String("python").pipe(Flag.withDescription("a Python that has PyTorch")),
    scripts: Flag.String("scripts").pipe(Flag.withDescription("the folder of bench.py: see suites/peers.ts")),
    backends: backends("native,wasm"),
    threads,
    rounds: atLeastOne("rounds", 3, "rounds through all configurations"),
  },
  peers,
).pipe(Command.withDescription("Time the same iterations in PyTorch and here"))

const reproduceCommand = Command.make(
  "reproduce",
  {
    backend,
    threads,
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
).pipe(Command.withDescription("The SLTT paper's table of time and memory on this machine"))

/** A setting of `bun run train` that may be left out. */
const setting = <A>(flag: Flag.Flag<A>, description: string) =>
  flag.pipe(Flag.optional, Flag.map(Option.getOrUndefined), Flag.withDescription(description))

const accuracyCommand = Command.make(
  "accuracy",
  {
    k: atLeastOne("k", 1, "the time steps that SLTT-K trains"),
    seeds: atLeastOne("seeds", 3, "how many seeds, from 0 on"),
    out: setting(Flag.String("out"), "the folder of the runs; default runs/accuracy-…"),
    settings: {
      dataset: setting(Flag.String("dataset"), "as for bun run train, and so are the flags below"),
      dataDir: setting(Flag.String("data-dir"), "where the data set's files are; nothing is downloaded then"),
      limit: setting(Flag.Int("limit"), "only the first so many training and test samples"),
      model: setting(Flag.String("model"), "the network"),
      width: setting(Flag.Finite("width"), "a factor of the model's channels"),
      timeSteps: setting(Flag.Int("time-steps"), "time steps T"),
      tau: setting(Flag.Finite("tau"), "membrane time constant"),
      batchSize: setting(Flag.Int("batch-size"), "samples per batch"),
      epochs: setting(Flag.Int("epochs"), "passes through the training samples"),
      lr: setting(Flag.Finite("lr"), "learning rate"),
      optimizer: setting(Flag.String("optimizer"), "sgd, adam or adamw"),
      backend: setting(Flag.String("backend"), "the backend"),
    },
  },
  accuracy,
).pipe(Command.withDescription("The test accuracy of BPTT, SLTT and SLTT-K on the same data and seeds"))

runMain(
  Command.make("bun run bench").pipe(
    Command.withDescription("What training costs on this machine"),
    Command.withSubcommands([
      stepCommand,
      policiesCommand,
      kernelsCommand,
      memoryCommand,
      peersCommand,
      reproduceCommand,
      accuracyCommand,
      dataCommand,
    ]),
  ),
)
