/** The functions as local processes with a program file to serve, for the test and for measuring their start. */
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { ProgramFile } from "@spikeroute/backend-kernels"
import { layer } from "@spikeroute/backend-reference"
import { defaultLoss, Graph, Key, Models, Optimizer, Policy, Train } from "@spikeroute/core"
import { deno } from "@spikeroute/publish-tools/deno"
import { Effect } from "effect"

const root = join(import.meta.dir, "..")

/** The untrained `conv` model for MNIST's images. */
export const programOf = Effect.fnUntraced(
  function* (batchSize: number) {
    const graph = yield* Graph.make([28, 28, 1], Models.conv(10))
    const options = { batchSize, timeSteps: 4 }
    const trainer = yield* Train.make(graph, Policy.sltt, {
      ...options,
      loss: defaultLoss,
      optimizer: Optimizer.sgd(),
      key: Key.make(1),
    })
    return yield* ProgramFile.save(graph, yield* trainer.save, options)
  },
  Effect.scoped,
  Effect.provide(layer),
)

export interface Functions {
  readonly program: string
  /** The command that starts each function, by the name of its runtime. */
  readonly commands: Readonly<Record<string, ReadonlyArray<string>>>
  readonly remove: () => Promise<void>
}

/** Writes the program and bundles the functions for Node as they are deployed: one minified file, and the kernels. */
export const makeFunctions = async (): Promise<Functions> => {
  const folder = await mkdtemp(join(tmpdir(), "spikeroute-functions-"))
  const file = join(folder, "program.safetensors")
  await writeFile(file, await Effect.runPromise(programOf(1)))
  const entrypoints = ["node.ts", "lambda.ts"].map((name) => join(root, "src", name))
  await Bun.build({ entrypoints, outdir: folder, target: "node", minify: true, naming: "[name].mjs" })
  const kernels = fileURLToPath(import.meta.resolve("@spikeroute/backend-wasm/spikeroute.wasm"))
  await copyFile(kernels, join(folder, "spikeroute.wasm"))
  const permissions = ["--allow-net", "--allow-read", "--allow-env"]
  return {
    program: file,
    commands: {
      Node: ["node", join(folder, "node.mjs"), file],
      Bun: [process.execPath, join(folder, "node.mjs"), file],
      Deno: [deno, "run", ...permissions, join(root, "src/deno.ts"), file],
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

export interface Running {
  readonly url: string
  readonly stop: () => Promise<unknown>
}

/** Starts a function and waits until it listens. */
export const start = async (command: ReadonlyArray<string>): Promise<Running> => {
  const child = Bun.spawn([...command], { env: { ...process.env, PORT: "0" }, stdout: "pipe", stderr: "inherit" })
  const stop = () => {
    child.kill()
    return child.exited
  }
  let said = ""
  for await (const part of child.stdout) {
    said += new TextDecoder().decode(part)
    const url = /listening on (\S+)\n/.exec(said)?.[1]
    if (url !== undefined) return { url, stop }
  }
  throw new Error(`${command.join(" ")} ended with ${await stop()}`)
}
