import { afterAll, describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { Backend, Safetensors } from "@spikeroute/core"
import { Golden } from "@spikeroute/core/testing"
import { Effect, Layer } from "effect"
import { engines } from "../src/engines.ts"
import { fromEngine } from "../src/index.ts"

// The models', and what golden files lie beside the repository.
const files = ["../../../core/test/golden/", "../../../../../shared/golden/data/"]
  .map((path) => new URL(path, import.meta.url))
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => readdirSync(folder).map((name) => ({ name, url: new URL(name, folder) })))
  .filter(({ name }) => name.endsWith(".safetensors"))

for (const [name, load] of Object.entries(engines)) {
  const engine = await load({ threads: 2 })
  afterAll(() => engine.close())

  describe(`${name} computes PyTorch's gradients`, () => {
    for (const { name: file, url } of files)
      test(file, async () => {
        const errors = await Effect.runPromise(
          Safetensors.decode(readFileSync(url), file).pipe(
            Effect.flatMap((golden) => Golden.verify(golden, file)),
            Effect.scoped,
            Effect.provide(Layer.succeed(Backend, fromEngine(engine))),
          ),
        )
        expect({ errors, passes: Golden.passes(errors) }).toEqual({ errors, passes: true })
      }, 30_000)
  })
}
