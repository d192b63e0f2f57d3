/** `startup`: time to first result, each time in a new process. */
import { fileURLToPath } from "node:url"
import { Data, Effect } from "effect"
import type { Subject } from "../method/measure.ts"
import type { Case, Suite } from "../method/suite.ts"

export class StartError extends Data.TaggedError("StartError")<{ readonly what: string; readonly output: string }> {
  override get message(): string {
    return `${this.what} failed: ${this.output.trim().split("\n").at(-1) ?? ""}`
  }
}

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** The first training step of a small network, as in a user's first program. */
const firstStep = (backend: string) => `
  import { Effect } from "effect"
  import * as S from "@spikeroute/core"
  import { backendLayer } from "./backends.ts"
  await Effect.runPromise(Effect.gen(function* () {
    const graph = yield* S.Graph.make([28, 28, 1], S.Models.conv(10))
    const trainer = yield* S.Train.make(graph, S.Policy.sltt, {
      batchSize: 64, timeSteps: 4, loss: S.defaultLoss, optimizer: S.Optimizer.adam(), key: S.Key.make(0),
    })
    const batch = { inputs: new Float32Array(64 * 784).fill(1), labels: new Float32Array(64) }
    yield* trainer.step(batch, { update: 1, learningRate: 1e-3 })
  }).pipe(Effect.scoped, Effect.provide(backendLayer(${JSON.stringify(backend)}, 1))))
  process.exit(0)`

const started = (name: string, args: ReadonlyArray<string>): Subject => ({
  name,
  open: Effect.succeed({
    run: Effect.gen(function* () {
      const before = performance.now()
      const child = Bun.spawn([process.execPath, ...args], {
        ...{ cwd: file(".."), stdout: "ignore", stderr: "pipe", env: { ...process.env, NO_COLOR: "1" } },
      })
      const [code, output] = yield* Effect.promise(() => Promise.all([child.exited, new Response(child.stderr).text()]))
      if (code !== 0) return yield* new StartError({ what: name, output })
      return (performance.now() - before) / 1000
    }),
  }),
})

export const startup: Suite = {
  name: "startup",
  about: "time to the command line's help, to the imported library, and to the first training step",
  seconds: 50,
  backends: ["native", "wasm", "tfjs-wasm"],
  cases: (_, backends) =>
    Effect.sync(
      (): ReadonlyArray<Case> => [
        {
          group: "a process of its own",
          values: {},
          subjects: [
            started("Bun alone", ["-e", "0"]),
            started("import core", ["-e", `await import("@spikeroute/core")`]),
            started("train --help", [file("../../../cli/src/main.ts"), "train", "--help"]),
            ...backends.map((backend) => started(`first step, ${backend}`, ["-e", firstStep(backend)])),
          ],
        },
      ],
    ),
}
