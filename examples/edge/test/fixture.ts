/** A small network as a program file, and samples for it. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { ProgramFile } from "@spikeroute/backend-kernels"
import { Graph, Key, Models, Train } from "@spikeroute/core"
import { Effect } from "effect"

export const token = "a token of the test's"
export const kernels = new WebAssembly.Module(
  readFileSync(fileURLToPath(import.meta.resolve("@spikeroute/backend-wasm/spikeroute.wasm"))),
)

export const learningRate = 0.1
export const timeSteps = 4
export const classes = 3
export const graph = Graph.makeUnsafe([8, 8, 2], Models.conv(classes, { width: 0.25 }))
export const size = timeSteps * 8 * 8 * 2
/** A program whose first weights are multiplied by a factor; they stay finite. */
export const programOf = (factor: number, options: Partial<ProgramFile.SaveOptions> = {}) =>
  Effect.runSync(
    ProgramFile.save(
      graph,
      new Map(
        graph.parameters.map(({ name, shape }) => {
          const values = Train.initialize(graph, Key.make(1)).get(name) as Float32Array
          const scaled = values.map((value) => Math.max(-3e38, Math.min(factor * value, 3e38)))
          return [name, { shape, values: scaled }]
        }),
      ),
      { batchSize: 1, timeSteps, encoding: "frames", ...options },
    ),
  )
export const program = programOf(2)

/** Sample i is of class i mod 3: noise, and events in the third of the rows that belongs to the class. */
export const sampleOf = (index: number): Float32Array<ArrayBuffer> => {
  const noise = Key.uniform(Key.fold(Key.make(5), index), new Float32Array(size))
  return Float32Array.from(noise, (u, i) => {
    const row = Math.floor((i % 128) / 16)
    return u < (Math.floor(row / 3) === index % classes ? 0.6 : 0.1) ? 2 : 0
  })
}
