/**
 * Every exported function rejects arguments of the wrong type with a tagged one-line error, never with a raw TypeError. The functions are
 * found by walking the packages' entry points, so new ones are included.
 */
import { expect, test } from "bun:test"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { ProgramFile } from "@spikeroute/backend-kernels"
import { layer as reference } from "@spikeroute/backend-reference"
import { load } from "@spikeroute/backend-wasm/infer"
import { loadModule } from "@spikeroute/backend-wasm/module"
import * as S from "@spikeroute/core"
import { publicPackages } from "@spikeroute/publish-tools"
import { Effect, Layer, Schema, Stream } from "effect"

const repository = join(import.meta.dir, "../../..")

const wrong: Readonly<Record<string, unknown>> = {
  ...{ undefined: undefined, null: null, "{}": {}, "[]": [], NaN: Number.NaN, '""': "" },
  ...{ Symbol: Symbol("wrong"), "{ misspelt }": { misspelt: 1 }, "() => {}": () => {} },
}

type Export = (...args: ReadonlyArray<unknown>) => unknown

const isModule = (value: unknown) => Object.prototype.toString.call(value) === "[object Module]"
const isClass = (value: object) => /^class\b/.test(Function.prototype.toString.call(value))

/** The functions of a module and its namespaces, by name. */
const functionsOf = (module: object, path = ""): ReadonlyArray<readonly [string, Export]> =>
  Object.entries(module).flatMap(([name, value]) => {
    if (isModule(value)) return functionsOf(value, `${path}${name}.`)
    const isFunction = typeof value === "function" && !Schema.isSchema(value) && !isClass(value)
    return isFunction ? [[path + name, value as Export] as const] : []
  })

const exported = async () => {
  const all = new Map<Export, string>()
  for (const { folder, manifest } of await publicPackages(repository))
    for (const source of Object.values(manifest.exports)) {
      if (!source.endsWith(".ts") || source.includes("testing")) continue
      const module = await import(pathToFileURL(join(repository, folder, source)).href)
      for (const [name, value] of functionsOf(module)) if (!all.has(value)) all.set(value, name)
    }
  return [...all].map(([value, name]) => [name, value] as const)
}

/** What is wrong with an error; `undefined` if it is tagged and has a one-line message. */
const faultOf = (error: unknown): string | undefined => {
  try {
    const { _tag, message } = Object(error)
    if (typeof _tag !== "string") return `not tagged: ${String(message)}`
    return typeof message === "string" && /^.+$/.test(message) ? undefined : `not one line: ${String(message)}`
  } catch (thrown) {
    return `its message throws ${thrown}`
  }
}

const key = S.Key.make(1)
const events = {
  ...{ width: 2, height: 2, x: Uint16Array.of(0, 1), y: Uint16Array.of(0, 1) },
  ...{ t: Float64Array.of(0, 1), p: Uint8Array.of(0, 1) },
}

/** Forces late checks: builds graphs from layers, checks policies, runs streams. */
const finish = async (name: string, result: unknown): Promise<unknown> => {
  if (Layer.isLayer(result)) return Effect.runPromise(Effect.scoped(Layer.build(result as Layer.Layer<unknown>)))
  if (Stream.isStream(result)) return Effect.runPromise(Stream.runDrain(result as Stream.Stream<unknown>))
  if (Effect.isEffect(result)) return Effect.runPromise(Effect.scoped(result as Effect.Effect<unknown>))
  if (Symbol.asyncIterator in Object(result)) return (result as AsyncGenerator).next()
  if (name === "Neuron.learn") return S.Graph.makeUnsafe([4], S.klif({ k: result as S.Neuron.Setting }))
  if (name === "Optimizer.options") return S.Options.assert(name, S.Optimizer.OptimizerSchema, result)
  if (name.startsWith("EventTransforms.")) return (result as Export)(events, key)
  if (/^(Policy|Steps)\./.test(name)) {
    const { sltt, bptt, trainOn, Policy, check } = S.Policy
    const steps = (name.startsWith("Steps.") ? trainOn(result as S.Steps.Steps) : result) as S.Policy.Change
    const policy = typeof steps === "function" ? (name === "Policy.detach" ? bptt : sltt).pipe(steps) : steps
    if ((policy as unknown) instanceof Policy) return Effect.runPromise(check(policy, 4, new Set(["membrane"])))
  }
  if (typeof result !== "function") return result
  const layer = result as S.Graph.Layer
  // The layer takes either images or features.
  try {
    return S.Graph.makeUnsafe([4, 4, 2], S.Graph.sequential(layer, S.flatten()))
  } catch (error) {
    if (faultOf(error) !== undefined) throw error
    return S.Graph.makeUnsafe([8], layer)
  }
}

/** `undefined` if a call is rejected properly, `answer` if it is not rejected, else what is wrong with the error. */
const outcome = async (name: string, call: () => unknown): Promise<"answer" | string | undefined> => {
  try {
    await finish(name, await call())
    return "answer"
  } catch (error) {
    return faultOf(error)
  }
}

/**
 * Unchecked functions that packages share among themselves: code of small bundles and hot paths that receives validated values (such as all
 * of `Windows`), makers of Schemas and checks, and functions without arguments.
 */
const unchecked = new Set(
  `command digest launched launchedRank loadForeign openCache
  arenaBytes bufferAt describeRefusal encode fromEngine loadModule
  asArray describeFault single Events.checkEvents firstNonFinite guard nearest optionFault tooLarge
  Graph.apply Graph.leaf
  Options.argument Options.assert Options.check Options.expectedOf Options.faultIn Options.has Options.must Options.oneOf
  Options.positiveWith Options.whole Options.withoutOptional
  Program.bufferBytes Program.formatBytes Program.layOut Program.microBatchSize Program.nameOf Program.slotOf Surrogate.checkedExpressionOf
  Shape.equals Shape.format Shape.mustBe Shape.mustExist Shape.size
  Spikes.byteLength Spikes.pack Spikes.unpack Spikes.wordsPerRow`.split(/\s+/),
)
/** Functions for which every value is valid: text for messages, tests, conversions that return `undefined`. */
const takesAny = /^(Program\.isOf|PyTorch\.isTorchFile|quote|line|named|toFloat32|layoutOf)$/
/** Values of the wrong list that are valid here: empty texts, lists, shapes, functions; NaN as a number; {} for a layer without required options. */
const takes: Readonly<Record<string, RegExp>> = {
  "Expressions.encode": /^\[\]/,
  "Expressions.executable": /^\[\]/,
  "Expressions.leaf": /^""/,
  "Policy.make": /^""/,
  "Policy.named": /^""/,
  "Program.parameterOf": /^""/,
  extentOf: /^\[\]/,
  build: /^\(\)/,
  "Camera.roundedLog": /^NaN/,
  parseOptdigits: /^""/,
  slice: /^\{\}/,
}
const withDefaults = new Set(["undefined", "{}"])

test("exported functions reject arguments of wrong types", async () => {
  const found: Array<string> = []
  for (const [name, value] of await exported()) {
    if (unchecked.has(name) || name.startsWith("Windows.")) continue
    const defaults = value.length === 0 || name === "gain"
    for (const [label, each] of Object.entries(wrong)) {
      // With default options, a backend would be opened.
      if (name === "layer" && withDefaults.has(label)) continue
      for (const args of [[each], [each, each, each]]) {
        const result = await outcome(name, () => value(...args))
        const isRight =
          result === undefined ||
          (result === "answer" &&
            (takesAny.test(name) || takes[name]?.test(label) || (defaults && withDefaults.has(label))))
        if (!isRight) found.push(`${name}(${args.map(() => label).join(", ")}): ${result}`)
      }
    }
  }
  expect(found).toEqual([])
})

/** Valid calls of functions and methods. Each argument is replaced by every wrong value, except those that are valid too. */
const calls = async (): Promise<ReadonlyArray<readonly [string, Export, ReadonlyArray<unknown>, RegExp?]>> => {
  const scope = <A, E>(effect: Effect.Effect<A, E, never>) => Effect.runPromise(effect)
  const graph = S.Graph.makeUnsafe([2], S.Graph.sequential(S.lif(), S.linear({ features: 2 })))
  const options = { batchSize: 1, timeSteps: 2, loss: S.defaultLoss, optimizer: S.Optimizer.adam(), key }
  const tensors = new Map([
    ["1.weight", { shape: [2, 2], values: new Float32Array(4) }],
    ["1.bias", { shape: [2], values: new Float32Array(2) }],
  ])
  const file = await scope(ProgramFile.save(graph, tensors, { batchSize: 1, timeSteps: 2, encoding: "frames" }))
  const module = await loadModule()
  const model = load(module, file)
  const on = (use: (trainer: S.Train.Trainer) => Effect.Effect<unknown, unknown>) =>
    S.Train.make(graph, S.Policy.sltt, options).pipe(Effect.flatMap(use), Effect.scoped, Effect.provide(reference))
  const batch = { inputs: [1, 0], labels: [0] }
  const method =
    (f: (trainer: S.Train.Trainer, ...args: ReadonlyArray<never>) => Effect.Effect<unknown, unknown>): Export =>
    (...args) =>
      on((trainer) => f(trainer, ...(args as ReadonlyArray<never>)))
  const byName = tensors
  const ofReference =
    (f: unknown): Export =>
    (...args) =>
      Effect.provide((f as Export)(...args) as Effect.Effect<unknown, unknown, S.Backend>, reference)
  const { lif, linear } = S
  return [
    ["Key.fold", S.Key.fold as Export, [key, "a", 1], /^""/],
    ["Key.uniform", S.Key.uniform as Export, [key, new Float32Array(2)]],
    ["Key.permutation", S.Key.permutation as Export, [key, 3]],
    ["Train.hits", S.Train.hits as Export, [Float32Array.of(1, 2), [0], 1, 1], /^\[\]|undefined/],
    ["Train.initialize", S.Train.initialize as Export, [graph, key]],
    [
      "Train.learningRate",
      S.Train.learningRate as Export,
      [{ name: "cosine", warmUp: 0, stepSize: 1, gamma: 1 }, 1, 0, 2],
    ],
    ["Train.make", ofReference(S.Train.make), [graph, S.Policy.sltt, options]],
    ["makePredictor", ofReference(S.Train.makePredictor), [graph, { batchSize: 1, timeSteps: 2 }]],
    ["Program.compile", S.Program.compile as Export, [graph, S.Policy.sltt, options]],
    ["Graph.make", S.Graph.make as Export, [[2], linear({ features: 2 })]],
    ["Graph.named", S.Graph.named as Export, ["a", lif()]],
    ["Models.mlp", S.Models.mlp as Export, [2, {}], /^\{\}|undefined/],
    ["Losses.own", S.Losses.own as Export, [(y: S.Neuron.Expression) => y, {}], /^\{\}|undefined/],
    ["Neuron.learn", S.Neuron.learn as Export, [1, "layer"], /undefined/],
    [
      "Neuron.make",
      ((kind, definition) => S.Neuron.make(kind as string, definition as typeof S.klif.definition)()) as Export,
      ["a", S.klif.definition],
      /^""/,
    ],
    [
      "Neuron.refractory",
      ((neuron, steps) => S.Neuron.refractory(neuron as typeof S.klif, steps as number)()) as Export,
      [S.klif, 2],
    ],
    ["elementwise", S.elementwise as Export, ["a", (x: S.Neuron.Expression) => x, {}], /^""|^\{\}|undefined/],
    ["PyTorch.toStateDict", S.PyTorch.toStateDict as Export, [graph, byName]],
    ["Safetensors.decode", ((bytes) => S.Safetensors.decode(bytes as Uint8Array, "file")) as Export, [file]],
    ["Safetensors.encode", S.Safetensors.encode as Export, [{ tensors, metadata: {} }]],
    ["ProgramFile.save", ProgramFile.save as Export, [graph, tensors, { batchSize: 1, timeSteps: 2 }]],
    ["ProgramFile.read", ProgramFile.read as Export, [file, "file"], /^""/],
    ["load", load as Export, [module, file, {}], /^\{\}|undefined/],
    ["model.predict", model.predict as Export, [[1, 0, 1, 0], { margin: 1 }], /^\{\}|undefined/],
    ["model.step", model.step as Export, [[1, 0]]],
    ["model.stream", model.stream as Export, [[[1, 0]]], /^\[\]/],
    ["model.load", model.load as Export, [tensors]],
    [
      "trainer.step",
      method((trainer, ...[given, at]) => trainer.step(given!, at!)),
      [batch, { update: 1, learningRate: 0.1 }],
    ],
    [
      "trainer.differentiate",
      method((trainer, ...[given, at]) => trainer.differentiate(given!, at!)),
      [batch, { update: 1 }],
    ],
    ["trainer.load", method((trainer, ...[given]) => trainer.load(given!)), []],
    [
      "executable.write",
      method(({ executable }, ...[name, values, t]) => executable.write(name!, values!, t)),
      ["labels", Float32Array.of(1), 0],
      /undefined|^\(\)/,
    ],
    [
      "executable.read",
      method(({ executable }, ...[name, t]) => executable.read(name!, t)),
      ["labels", 0],
      /undefined/,
    ],
  ]
}

test("each argument is checked while the others are valid", async () => {
  const found: Array<string> = []
  for (const [name, call, right, also] of await calls()) {
    const usual = await outcome(name, () => call(...right))
    if (usual !== "answer" && right.length > 0) found.push(`${name}: right arguments are refused: ${usual}`)
    for (let i = 0; i < Math.max(1, right.length); i++)
      for (const [label, each] of Object.entries(wrong)) {
        const result = await outcome(name, () => call(...right.slice(0, i), each, ...right.slice(i + 1)))
        if (result !== undefined && !(result === "answer" && also?.test(label)))
          found.push(`${name}, argument ${i}, ${label}: ${result}`)
      }
  }
  expect(found).toEqual([])
})
