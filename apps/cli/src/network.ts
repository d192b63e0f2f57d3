/** The network of a run: a library model by name, or a file (a module, a graph as JSON, or NIR). */
import { Graph, Models, Options, quote, Shape, type Train } from "@spikeroute/core"
import * as Nir from "@spikeroute/nir"
import { Effect } from "effect"
import { neuronOf, type Settings } from "./config.ts"
import { UsageError } from "./errors.ts"
import { readJson } from "./files.ts"
import { defaultExport, isPath, messageOf } from "./modules.ts"
import { readNir } from "./nir.ts"

export { nameOf } from "./modules.ts"

export interface Network {
  readonly graph: Graph.Graph
  /** The weights stored in the file. */
  readonly tensors?: Train.Tensors
}

/** The input shape and the number of classes that a network is built for. */
interface Purpose {
  readonly shape: Shape.Shape
  readonly classes: number
}

const wanted = "a layer, a graph, or a function that makes one for a number of classes"

const isGraph = (value: unknown): value is Graph.Graph => Options.has("nodes", "parameters", "types")(value)

/** Reads a graph from JSON; errors name the file. */
const graphOf = (file: string, json: unknown) =>
  Effect.mapError(Graph.fromJson(json), ({ message }) => new UsageError({ reason: `${file}: ${message}` }))

/** Checks a graph that a module built in the same way as a graph read from a file. */
const checked = (file: string, graph: Graph.Graph) =>
  Effect.suspend(() => graphOf(file, JSON.parse(JSON.stringify(Graph.toJson(graph)))))

/**
 * The graph of a module's default export. A function is first called with the number of classes; if it returns neither a graph nor a layer,
 * the function itself is used as a layer.
 */
const ofExport = (
  file: string,
  exported: unknown,
  { shape, classes }: Purpose,
): Effect.Effect<Graph.Graph, UsageError> => {
  const fail = (reason: string) => Effect.fail(new UsageError({ reason: `${file}: ${reason}` }))
  const make = (layer: Graph.Layer) =>
    Effect.try({
      try: () => Graph.makeUnsafe(shape, layer),
      catch: (error) => new UsageError({ reason: `${file}: ${messageOf(error)}` }),
    })
  if (isGraph(exported)) return checked(file, exported)
  if (typeof exported !== "function") return fail(`its default export is ${quote(exported)}; it must be ${wanted}`)
  const layer = exported as Graph.Layer
  let own: unknown
  let fault: unknown
  try {
    own = (exported as (classes: number) => unknown)(classes)
  } catch (error) {
    fault = error
  }
  if (isGraph(own)) return checked(file, own)
  if (typeof own === "function") return make(own as Graph.Layer)
  let isMaker = false
  const asLayer = make((x, name) => {
    const made: unknown = layer(x, name)
    isMaker = typeof made === "function" || isGraph(made)
    return made as Graph.Tensor
  })
  // If the function takes a number of classes and threw, report its own error.
  return Effect.catch(asLayer, (error) =>
    fault !== undefined && isMaker ? fail(messageOf(fault)) : Effect.fail(error),
  )
}

const ofGraphFile = (file: string, { nir = {} }: Settings) =>
  Effect.gen(function* () {
    if (file.endsWith(".json")) return { graph: yield* graphOf(file, yield* readJson(file)) }
    return yield* Nir.networkOf(yield* readNir(file), nir).pipe(
      Effect.catchTag("NirError", ({ node, reason }) => Effect.fail(new Nir.NirError({ file, node, reason }))),
    )
  })

/** A library model. */
export const layerOf = (config: Settings, classes: number): Graph.Layer => {
  const { model, width, dropout } = config
  return Models.models[model as Models.ModelName](classes, { width, dropout, neuron: neuronOf(config) })
}

/** The network that the settings describe, for a sample shape and a number of classes; `.nir` and `.json` files need neither. */
export const networkFor = (config: Settings, purpose: Purpose | undefined) =>
  Effect.gen(function* () {
    const { model } = config
    if (/\.(nir|json)$/.test(model)) {
      const network: Network = yield* ofGraphFile(model, config)
      if (purpose !== undefined) yield* checkPurpose(model, network.graph, purpose, config.dataset)
      return network
    }
    if (purpose === undefined)
      return yield* new UsageError({ reason: `${model} is made for samples of a data set: give one as --dataset` })
    if (!isPath(model)) return { graph: yield* Graph.make(purpose.shape, layerOf(config, purpose.classes)) }
    const graph = yield* ofExport(model, yield* defaultExport(model, wanted), purpose)
    yield* checkPurpose(model, graph, purpose, config.dataset)
    return { graph }
  })

/** Fails if a network's input shape or number of outputs does not match the data set. */
export const checkPurpose = (owner: string, graph: Graph.Graph, { shape, classes }: Purpose, dataset: string) => {
  const outputs = graph.types.get(graph.output)?.shape.at(-1)
  const reason = !Shape.equals(graph.input, shape)
    ? `it takes samples of ${Shape.format(graph.input)}; those of ${dataset} are ${Shape.format(shape)}`
    : outputs !== classes
      ? `it has ${outputs} outputs; ${dataset} has ${classes} classes`
      : undefined
  return reason === undefined ? Effect.void : Effect.fail(new UsageError({ reason: `${owner}: ${reason}` }))
}
