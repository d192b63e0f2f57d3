/** Other libraries that run the same iterations, if installed. */
import { rmSync } from "node:fs"
import { mkdtemp, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { PyTorch, Safetensors, Shape, type Train } from "@spikeroute/core"
import { Effect, type Scope } from "effect"
import { backendLayer } from "../backends.ts"
import { waitUntilIdle } from "../method/disturbance.ts"
import { AbsentError, once, type Repeats, type Subject } from "../method/measure.ts"
import {
  batchOf,
  deviation,
  imageShape,
  isDeep,
  policyAndK,
  prepare,
  type State,
  smallVersion,
  timedLearningRate,
  type Workload,
} from "../workloads.ts"
import { type PeerProcess, start } from "./process.ts"

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** A variant of a library's iteration. */
interface Configuration {
  readonly name: string
  readonly options: Readonly<Record<string, unknown>>
}

interface Peer {
  readonly name: string
  /** The required Python module; without it the peer runs in a Bun process. */
  readonly module?: string
  /** Empty if the library cannot run this iteration. */
  readonly configurations: (workload: Workload) => ReadonlyArray<Configuration>
}

const isRecurrent = ({ model }: Workload): boolean => model === "rsnn"
const hasImages = ({ shape = imageShape, model }: Workload): boolean => shape.length === 3 && model !== "mlp"
/** The networks of the paper. */
const isLarge = ({ model }: Workload): boolean => model === "resnet18" || model === "vgg11"

/**
 * All variants: the kinds of neurons; the first layer at every time step, or once if the image does not change (`hoist`); and for
 * convolutions both memory layouts. Which is fastest depends on the shapes. Deep networks use channels last only and are not hoisted, because
 * the first layer is a small part of them.
 */
const python = (library: string, neurons: ReadonlyArray<string>, hoists: ReadonlyArray<boolean>, workload: Workload) =>
  neurons.flatMap((neuron) =>
    (isLarge(workload) || workload.encoding === "frames" ? [false] : hoists).flatMap((hoist) =>
      (isLarge(workload) ? [true] : hasImages(workload) ? [false, true] : [false]).map(
        (channelsLast): Configuration => {
          const details = [
            ...(neurons.length > 1 || hoists.length > 1 ? [neuron] : []),
            ...(hoist ? ["hoist"] : []),
            ...(channelsLast ? ["channels last"] : []),
          ]
          return { name: [library, ...details].join(", "), options: { neuron, hoist, channelsLast } }
        },
      ),
    ),
  )

export const peers: ReadonlyArray<Peer> = [
  {
    name: "PyTorch",
    module: "torch",
    configurations: (workload) =>
      python("PyTorch", workload.policy.name === "bptt" ? ["plain"] : ["plain", "fused"], [false, true], workload),
  },
  {
    name: "snnTorch",
    module: "snntorch",
    configurations: (workload) => (isRecurrent(workload) ? [] : python("snnTorch", ["snntorch"], [false], workload)),
  },
  {
    name: "SpikingJelly",
    module: "spikingjelly",
    configurations: (workload) =>
      isRecurrent(workload) ? [] : python("SpikingJelly", ["spikingjelly"], [false], workload),
  },
  {
    name: "jax-js",
    configurations: ({ model, policy }) =>
      model === "mlp" && policy.name === "sltt" ? [{ name: "jax-js", options: {} }] : [],
  },
]

/** Inputs in PyTorch's layout: [N, C, …], or [T, N, C, …] for frames. */
const channelsFirst = (
  { inputs }: Train.Batch,
  { batchSize, timeSteps, shape = imageShape, encoding }: Workload,
): Safetensors.StoredTensor => {
  const channels = shape.at(-1) ?? 1
  const pixels = Shape.size(shape) / channels
  const values = inputs.map((_, i) => {
    const channel = Math.floor(i / pixels) % channels
    return inputs[i - (i % (pixels * channels)) + (i % pixels) * channels + channel] as number
  })
  const own = [batchSize, channels, ...shape.slice(0, -1)]
  return { shape: encoding === "frames" ? [timeSteps, ...own] : own, values }
}

/** A workload's network with the given parameters. */
const opening = (workload: Workload, { parameters }: State) =>
  Effect.tap(prepare(workload), ({ trainer }) =>
    parameters === undefined ? Effect.void : trainer.loadParameters(parameters),
  )
const onWasm = backendLayer("wasm", 2)

/** The expected results of an iteration, on the backend wasm. */
const rightOf = (workload: Workload, state: State) =>
  Effect.flatMap(opening(workload, state), ({ trainer }) => trainer.differentiate(state.batch, { update: 1 })).pipe(
    Effect.scoped,
    Effect.provide(onWasm),
  )

let written = 0

/** Writes a workload to a file that every peer reads: inputs, labels, and parameters in PyTorch's layouts. */
const write = (workload: Workload, folder: string, state: State) =>
  Effect.gen(function* () {
    const { batch } = state
    const { model, policy, timeSteps, tau = 2, encoding = "static", optimizer = "adam" } = workload
    const { trainer } = yield* opening(workload, state)
    const saved = yield* trainer.save
    const { graph } = trainer
    const tensors = new Map<string, Safetensors.StoredTensor>()
    const weights = graph.parameters.filter(({ role }) => role === "weight")
    weights.forEach((parameter, i) => {
      const { values } = saved.get(parameter.name) as Safetensors.StoredTensor
      tensors.set(`parameter.${i}`, {
        shape: PyTorch.pyTorchShape(graph, parameter),
        values: PyTorch.toPyTorch(graph, parameter, values),
      })
    })
    tensors.set("inputs", channelsFirst(batch, workload))
    tensors.set("labels", { shape: [batch.labels.length], values: batch.labels })
    const learningRate = `${timedLearningRate}`
    const { policy: policyName, k = 0 } = policyAndK(policy)
    const metadata = {
      ...{ model, policy: policyName, k: `${k}`, encoding, optimizer },
      ...{ timeSteps: `${timeSteps}`, tau: `${tau}`, learningRate },
    }
    const path = join(folder, `${++written}.safetensors`)
    yield* Effect.promise(() => writeFile(path, Safetensors.encode({ tensors, metadata })))
    return path
  }).pipe(Effect.scoped, Effect.provide(onWasm))

/** The processes of all peers. */
export interface Hosts {
  /** Versions of the Python modules. */
  readonly versions: Readonly<Record<string, string>>
  readonly processOf: (peer: Peer) => Effect.Effect<PeerProcess, AbsentError>
  /** The Python interpreter, if it has PyTorch. */
  readonly torch: string | undefined
  readonly threads: number
  readonly folder: string
}

const serve = (interpreter: string) => start([interpreter, file("../../peers/serve.py")])

/** Starts Python, the named one or the first on the PATH, and asks for its module versions. */
const startPython = (named: string | undefined) =>
  Effect.gen(function* () {
    const interpreter = named ?? Bun.which("python3") ?? Bun.which("python") ?? undefined
    const versions: Record<string, string> = {}
    if (interpreter === undefined) return { interpreter, serving: undefined, versions }
    const serving = yield* serve(interpreter).pipe(Effect.orElseSucceed(() => undefined))
    const nothing: Readonly<Record<string, unknown>> = {}
    const found =
      serving === undefined ? nothing : yield* serving.ask({ probe: true }).pipe(Effect.orElseSucceed(() => nothing))
    for (const [name, version] of Object.entries(found)) if (typeof version === "string") versions[name] = version
    return { interpreter, serving, versions }
  })

/** The module versions of a Python interpreter. */
export const pythonVersions = (named: string | undefined): Effect.Effect<Readonly<Record<string, string>>> =>
  Effect.map(Effect.scoped(startPython(named)), ({ versions }) => versions)

/** Starts the processes of all peers, which end with the scope. */
export const startHosts = (named: string | undefined, threads: number): Effect.Effect<Hosts, never, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "spikeroute-peers-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true })),
    )
    const { interpreter, serving, versions } = yield* startPython(named)
    if (serving !== undefined && versions.torch !== undefined) yield* Effect.ignore(serving.ask({ threads }))
    const own = yield* start([process.execPath, file("./jax.ts")]).pipe(Effect.orElseSucceed(() => undefined))
    return {
      ...{ versions, folder, threads, torch: versions.torch === undefined ? undefined : interpreter },
      processOf: ({ name: subject, module }) => {
        if (module === undefined)
          return own === undefined
            ? Effect.fail(new AbsentError({ subject, reason: "its process cannot be started" }))
            : Effect.succeed(own)
        if (serving === undefined)
          return Effect.fail(new AbsentError({ subject, reason: "no Python found: name one with --python" }))
        if (versions[module] === undefined || versions.torch === undefined)
          return Effect.fail(new AbsentError({ subject, reason: `${interpreter} has no module ${module}` }))
        return Effect.succeed(serving)
      },
    }
  })

let opened = 0

/** A peer's answer to `open`. */
interface First {
  readonly loss: number
  readonly firingRates: ReadonlyArray<number>
}

/** The peers' variants of a workload, as subjects. Absent libraries fail when they are opened, and are named. */
export const peerSubjects = (workload: Workload, hosts: Hosts, state: State) =>
  Effect.gen(function* () {
    const path = yield* write(workload, hosts.folder, state)
    // With batch norms or recurrence, one spike that rounding decides changes all others: compare such networks on a few samples only.
    const isFew = isDeep(workload) || isRecurrent(workload)
    const few = isFew ? smallVersion(workload) : workload
    const held = isFew ? { batch: batchOf(few), parameters: undefined } : state
    const right = yield* rightOf(few, held)
    const heldPath = isFew ? yield* write(few, hosts.folder, held) : path
    return peers.flatMap((peer) =>
      peer.configurations(workload).map(({ name, options }): Subject => {
        const absent = Effect.map(Effect.result(hosts.processOf(peer)), (result) => result._tag === "Failure")
        return {
          // Report one absence per library, not one per variant.
          name: Effect.runSync(absent) ? peer.name : name,
          ...{ peer: peer.name, variant: true },
          open: Effect.gen(function* () {
            const host = yield* hosts.processOf(peer)
            const id = ++opened
            const open = (file: string) =>
              Effect.acquireRelease(host.ask({ open: id, file, ...options }), () =>
                Effect.ignore(host.ask({ close: id })),
              ).pipe(Effect.map((answer) => answer as unknown as First))
            const found = heldPath === path ? undefined : yield* Effect.scoped(open(heldPath))
            const first = yield* open(path)
            const { loss: heldLoss, firingRates } = found ?? first
            let loss = first.loss
            const iterate = (repeats: Repeats) =>
              Effect.gen(function* () {
                yield* waitUntilIdle
                const answer = yield* host.ask({ run: id, ...repeats })
                loss = answer.loss as number
                return answer.seconds as number
              })
            return {
              run: iterate(once),
              repeatable: iterate,
              check: Effect.succeed({
                against:
                  found === undefined ? "wasm, the whole batch" : `wasm, batch ${few.batchSize}, T = ${few.timeSteps}`,
                error: Math.max(deviation([right.loss], [heldLoss]), deviation(right.firingRates, firingRates)),
              }),
              observe: () => ({ loss, firingRates: first.firingRates }),
              processes: host.processes(),
            }
          }),
        }
      }),
    )
  })

/** Memory growth in bytes of a new PyTorch process that builds and trains a network: see peers/serve.py. */
export const growthOf = (workload: Workload, hosts: Hosts, state: State, options: Configuration["options"]) =>
  Effect.gen(function* () {
    const { torch, threads, folder } = hosts
    if (torch === undefined)
      return yield* new AbsentError({ subject: "PyTorch", reason: "no Python with PyTorch found" })
    const path = yield* write(workload, folder, state)
    const serving = yield* serve(torch)
    yield* serving.ask({ threads })
    const { bytes, loss } = yield* serving.ask({ grow: path, ...options })
    return { bytes: bytes as number, loss: loss as number }
  }).pipe(Effect.scoped)
