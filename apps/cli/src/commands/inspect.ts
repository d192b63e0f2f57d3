/** `inspect`: the parameters of a run, how its layers fire, and charts of its loss and spikes. */
import { Graph, Program, Shape, Train } from "@spikeroute/core"
import { batches } from "@spikeroute/datasets"
import { Effect, Path, Schema, Stream } from "effect"
import { backendLayer } from "../backends.ts"
import { lossCurve, png, raster, type Spike } from "../charts.ts"
import { type CheckpointName, restore } from "../checkpoint.ts"
import { fromFlags } from "../config.ts"
import { readText, writeWhole } from "../files.ts"
import { openRun } from "../run.ts"
import { percent, print, table } from "../terminal.ts"

export interface InspectFlags {
  readonly directory: string
  readonly checkpoint: CheckpointName
  readonly json: boolean
  readonly settings: Readonly<Record<string, unknown>>
}

/** Neurons that a raster shows of each layer, evenly spread. */
const shownNeurons = 128

const BatchLine = Schema.fromJsonString(
  Schema.Struct({ type: Schema.Literal("batch"), update: Schema.Int, loss: Schema.Finite }),
)
const isBatchLine = Schema.decodeUnknownOption(BatchLine)

/** Runs one batch step by step, and keeps the spikes of its first sample. */
const observe = (predictor: Train.Predictor, graph: Graph.Graph, inputs: Float32Array) =>
  Effect.gen(function* () {
    const { executable, program } = predictor
    const { bufferNames, schedule } = Program
    const spikes: Array<Spike> = []
    const layers = program.neurons.map((name) => {
      const size = Shape.size(graph.types.get(name)?.shape ?? [])
      return { name, size, neurons: Math.min(size, shownNeurons) }
    })
    if (program.encoding === "static") yield* executable.write(bufferNames.input, inputs)
    for (const call of schedule(program, [])) {
      yield* executable.run([call], program.encoding === "frames" ? inputs : undefined)
      if (call.segment !== "forward") continue
      for (const { name, size, neurons } of layers) {
        const values = yield* executable.read(bufferNames.value(name), call.t)
        for (let i = 0; i < neurons; i++)
          if (values[Math.floor((i * size) / neurons)] === 1)
            spikes.push({ layer: name, neuron: i, timeStep: call.t + 1 })
      }
    }
    const [, ...rates] = yield* executable.read(bufferNames.metrics)
    return { spikes, layers, rates }
  })

export const inspect = ({ directory, checkpoint: name, json, settings }: InspectFlags) =>
  Effect.gen(function* () {
    const { config, graph, dataset, checkpoint } = yield* openRun(directory, name, yield* fromFlags(settings))
    const { batchSize, timeSteps } = config
    const path = yield* Path.Path

    const observed = yield* Effect.gen(function* () {
      const neurons = graph.nodes.filter(({ name }) => graph.types.get(name)?.elements === "spikes")
      const predictor = yield* Train.makePredictor(graph, {
        batchSize,
        timeSteps,
        encoding: dataset.encoding,
        observe: neurons.map(({ name }) => name),
      })
      yield* restore(checkpoint, predictor)
      const test = batches(dataset, "test", { batchSize, timeSteps, remainder: "pad" })
      const [batch] = yield* Stream.runCollect(Stream.take(test, 1))
      return yield* observe(predictor, graph, batch?.inputs ?? new Float32Array())
    }).pipe(Effect.scoped, Effect.provide(backendLayer(config.backend)))

    const metrics = path.join(directory, "metrics.jsonl")
    const lines = yield* readText(metrics)
    const losses = lines.split("\n").flatMap((line) => {
      const decoded = isBatchLine(line)
      return decoded._tag === "Some" ? [decoded.value] : []
    })

    const charts = {
      loss: lossCurve(losses),
      raster: raster(observed.spikes, observed.layers, timeSteps),
    }
    const files: Array<string> = []
    for (const [chart, svg] of Object.entries(charts))
      for (const [extension, content] of [
        ["svg", svg],
        ["png", png(svg)],
      ] as const) {
        const file = path.join(directory, `${chart}.${extension}`)
        yield* writeWhole(file, content)
        files.push(file)
      }

    const parameters = graph.parameters.map(({ name, shape, role }) => ({ name, shape, role }))
    const firingRates = Object.fromEntries(observed.layers.map((layer, i) => [layer.name, observed.rates[i] ?? 0]))
    if (json)
      return yield* print(
        JSON.stringify({ parameterCount: Graph.parameterCount(graph), parameters, firingRates, files }, undefined, 2),
      )
    yield* print(
      [
        table(
          ["parameter", "shape", "numbers"],
          parameters.map(({ name, shape, role }) => [
            role === "weight" ? name : `${name} (statistic)`,
            Shape.format(shape),
            Shape.size(shape).toLocaleString("en"),
          ]),
        ),
        `${Graph.parameterCount(graph).toLocaleString("en")} trained in all`,
        "",
        table(
          ["layer", "neurons", "firing rate"],
          observed.layers.map(({ name, size }, i) => [
            name,
            size.toLocaleString("en"),
            percent(observed.rates[i] ?? 0),
          ]),
        ),
        "",
        ...files,
      ].join("\n"),
    )
  }).pipe(Effect.scoped)
