/** `inspect`: shows the parameters and firing rates of a run, with charts of its loss, accuracy and spikes. */
import { Graph, Program, Shape, Train } from "@spikeroute/core"
import { type Batch, batches } from "@spikeroute/datasets"
import { Effect, Option, Path, Schema, Stream } from "effect"
import { backendLayer } from "../backends.ts"
import { type AccuracyPoint, accuracyCurve, type LossPoint, lossCurve, png, raster, type Spike } from "../charts.ts"
import { restore } from "../checkpoint.ts"
import { fromFlags } from "../config.ts"
import { warnOfRates } from "../evaluation.ts"
import { readText, writeWhole } from "../files.ts"
import { checkFlags } from "../flags.ts"
import { countOperations, observed, operationsTable } from "../operations.ts"
import { openRun } from "../run.ts"
import { percent, print, say, table } from "../terminal.ts"

export interface InspectFlags {
  readonly directory: string
  readonly checkpoint: string
  readonly json: boolean
  readonly settings: Readonly<Record<string, unknown>>
}

/** Maximum number of neurons per layer in a raster. */
const shownNeurons = 128

const Accuracy = Schema.Struct({ top1: Schema.NullOr(Schema.Finite) })
const Line = Schema.fromJsonString(
  Schema.Union([
    Schema.Struct({ type: Schema.Literal("batch"), update: Schema.Int, loss: Schema.Finite }),
    Schema.Struct({ type: Schema.Literal("epoch"), epoch: Schema.Int, train: Accuracy, test: Accuracy }),
  ]),
)
const lineOf = Schema.decodeUnknownOption(Line)

/** The losses and accuracies in a run's metrics.jsonl; `undefined` for a program file. */
const recorded = (directory: string, isRun: boolean) =>
  Effect.gen(function* () {
    if (!isRun) return undefined
    const text = yield* readText((yield* Path.Path).join(directory, "metrics.jsonl"))
    const losses: Array<LossPoint> = []
    const accuracies: Array<AccuracyPoint> = []
    let damaged = 0
    for (const line of text.split("\n").filter((each) => each !== "")) {
      const decoded = Option.getOrUndefined(lineOf(line))
      if (decoded?.type === "batch") losses.push(decoded)
      else if (decoded) {
        const [train, test] = [decoded.train.top1, decoded.test.top1]
        // Without one class per sample, there is no training accuracy, and for numeric targets no test accuracy either.
        if (test !== null) accuracies.push({ epoch: decoded.epoch, train, test })
      } else damaged++
    }
    if (damaged > 0) yield* say(`metrics.jsonl: ${damaged} lines cannot be read and are left out of the charts`)
    return { losses, accuracies }
  })

/** Runs one batch step by step, counts its operations, and collects the spikes of its first sample. */
const observe = (predictor: Train.Predictor, graph: Graph.Graph, tensors: Train.Tensors, { inputs, size }: Batch) =>
  Effect.gen(function* () {
    const { executable, program } = predictor
    const spikes: Array<Spike> = []
    const layers = program.neurons.map((name) => {
      const size = Shape.size(graph.types.get(name)?.shape ?? [])
      return { name, size, step: Math.max(1, Math.ceil(size / shownNeurons)) }
    })
    const operations = yield* countOperations(predictor, graph, tensors, inputs, size, (t, read) =>
      Effect.gen(function* () {
        for (const { name, size, step } of layers) {
          const values = yield* read(name)
          for (let row = 0; row * step < size; row++)
            if (values[row * step] === 1) spikes.push({ layer: name, row, timeStep: t + 1 })
        }
      }),
    )
    const [, ...rates] = yield* executable.read(Program.bufferNames.metrics)
    return { spikes, layers, rates, operations, samples: size }
  })

export const inspect = ({ directory, checkpoint: given, json, settings }: InspectFlags) =>
  Effect.gen(function* () {
    const { checkpoint: name } = yield* checkFlags("inspect", { checkpoint: given })
    const { config, graph, dataset, checkpoint } = yield* openRun(directory, name, yield* fromFlags(settings))
    const { batchSize, timeSteps } = config
    const path = yield* Path.Path

    const found = yield* Effect.gen(function* () {
      const predictor = yield* Train.makePredictor(graph, {
        batchSize,
        timeSteps,
        encoding: dataset.encoding,
        observe: observed(graph),
      })
      yield* restore(checkpoint, predictor)
      const test = batches(dataset, "test", { batchSize, timeSteps, remainder: "pad" })
      const [batch] = yield* Stream.runCollect(Stream.take(test, 1))
      return yield* observe(predictor, graph, checkpoint.tensors, batch as Batch)
    }).pipe(Effect.scoped, Effect.provide(backendLayer(config.backend)))

    const record = yield* recorded(directory, checkpoint.position !== undefined)
    const charts = {
      ...(record && { loss: lossCurve(record.losses), accuracy: accuracyCurve(record.accuracies) }),
      raster: raster(found.spikes, found.layers, timeSteps),
    }
    const beside = record === undefined ? path.dirname(directory) : directory
    const files: Array<string> = []
    for (const [chart, svg] of Object.entries(charts))
      for (const [extension, content] of [
        ["svg", svg],
        ["png", png(svg)],
      ] as const) {
        const file = path.join(beside, `${chart}.${extension}`)
        yield* writeWhole(file, content)
        files.push(file)
      }

    const parameters = graph.parameters.map(({ name, shape, role }) => ({ name, shape, role }))
    const firingRates = Object.fromEntries(found.layers.map((layer, i) => [layer.name, found.rates[i] ?? 0]))
    yield* warnOfRates(firingRates)
    if (json)
      return yield* print(
        JSON.stringify(
          { parameterCount: Graph.parameterCount(graph), parameters, firingRates, operations: found.operations, files },
          undefined,
          2,
        ),
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
          found.layers.map(({ name, size }, i) => [name, size.toLocaleString("en"), percent(found.rates[i] ?? 0)]),
        ),
        "",
        operationsTable(found.operations, found.samples),
        "",
        ...files,
      ].join("\n"),
    )
  }).pipe(Effect.scoped)
