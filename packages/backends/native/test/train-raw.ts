/** Trains through the library alone, without a backend: `train-raw LIBRARY` prints a digest of the arena. Runs in every runtime. */
import { createHash } from "node:crypto"
import process from "node:process"
import { arenaBytes, encode } from "@spikeroute/backend-kernels"
import { conv2d, defaultLoss, flatten, Graph, Key, lif, linear, Optimizer, Policy, Program } from "@spikeroute/core"
import { Effect } from "effect"
import { load } from "../src/library.ts"

const graph = Graph.makeUnsafe(
  [9, 9, 2],
  Graph.sequential(conv2d({ channels: 5, kernelSize: 3 }), lif(), flatten(), linear({ features: 3 })),
)
const program = Effect.runSync(
  Program.compile(graph, Policy.sltt, {
    batchSize: 4,
    timeSteps: 3,
    loss: defaultLoss,
    optimizer: Optimizer.options("sgd"),
  }),
)

const library = await load(process.argv[2] as string)
const packed = encode(program)
const session = library.open(packed, packed.length, library.start(2), 64)
const arena = library.view(session, 0, arenaBytes(packed))
for (const { name, offset, shape } of program.buffers)
  if (name === "input" || name.startsWith("parameter/"))
    Key.uniform(
      Key.fold(Key.make(0), name),
      new Float32Array(
        arena,
        offset,
        shape.reduce((a, b) => a * b, 1),
      ),
    )
const calls = Program.schedule(program, [0, 1, 2]).flatMap(({ segment, t }) => [
  Program.segmentNames.indexOf(segment),
  t,
])
if (library.run(session, Int32Array.from(calls), calls.length / 2) !== 0) throw new Error("the library refused to run")
console.log(createHash("sha256").update(new Uint8Array(arena)).digest("hex"))
library.close(session)
