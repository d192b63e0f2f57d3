import { afterAll, describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { Backend, Safetensors } from "@spikeroute/core"
import { Golden } from "@spikeroute/core/testing"
import { Effect, Layer } from "effect"
import { engines } from "../src/engines.ts"
import { fromEngine } from "../src/index.ts"

const folder = new URL("../../../../../shared/golden/data/", import.meta.url)
const files = existsSync(folder) ? readdirSync(folder).sort() : []

for (const [name, load] of files.length > 0 ? Object.entries(engines) : []) {
  const engine = await load({ threads: 2 })
  afterAll(() => engine.close())

  describe(`${name} computes PyTorch's gradients`, () => {
    for (const file of files)
      test(file, async () => {
        const errors = await Effect.runPromise(
          Safetensors.decode(readFileSync(new URL(file, folder)), file).pipe(
            Effect.flatMap((golden) => Golden.verify(golden, file)),
            Effect.scoped,
            Effect.provide(Layer.succeed(Backend, fromEngine(engine))),
          ),
        )
        expect({ errors, passes: Golden.passes(errors) }).toEqual({ errors, passes: true })
      })
  })
}
