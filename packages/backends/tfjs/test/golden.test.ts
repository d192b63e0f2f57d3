import { afterAll, describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { Backend, Safetensors } from "@spikeroute/core"
import { Golden } from "@spikeroute/core/testing"
import { Effect, Layer } from "effect"
import { fromEngine } from "../src/index.ts"
import { loadEngines, verifies } from "./engines.ts"

// The models' golden files, and any beside the repository.
const files = ["../../../core/test/golden/", "../../../../../shared/golden/data/", "../../../../../shared/golden/time/"]
  .map((path) => new URL(path, import.meta.url))
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => readdirSync(folder).map((name) => ({ name, url: new URL(name, folder) })))
  .filter(({ name }) => Golden.isReadable(name))

for (const engine of await loadEngines()) {
  afterAll(() => engine.close())

  describe(`${engine.name} computes PyTorch's gradients`, () => {
    for (const { name: file, url } of files.filter(({ name }) => verifies(engine, name)))
      test(file, async () => {
        const errors = await Effect.runPromise(
          Safetensors.decode(readFileSync(url), file).pipe(
            Effect.flatMap((golden) => Golden.verify(golden, file)),
            Effect.scoped,
            Effect.provide(Layer.succeed(Backend, fromEngine(engine))),
          ),
        )
        expect({ errors, passes: Golden.passes(errors) }).toEqual({ errors, passes: true })
      }, 60_000)
  })
}
