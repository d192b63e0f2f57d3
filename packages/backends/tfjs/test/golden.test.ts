import { describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { Safetensors } from "@spikeroute/core"
import { Golden } from "@spikeroute/core/testing"
import { Effect } from "effect"
import * as Tfjs from "../src/index.ts"

const folder = new URL("../../../../../shared/golden/data/", import.meta.url).pathname
const files = existsSync(folder) ? readdirSync(folder).sort() : []

for (const [name, layer] of [
  ["tfjs-cpu", Tfjs.cpu],
  ["tfjs-wasm", Tfjs.wasm],
] as const)
  describe.if(files.length > 0)(`${name} computes PyTorch's gradients`, () => {
    for (const file of files)
      test(file, async () => {
        const golden = await Effect.runPromise(Safetensors.decode(new Uint8Array(readFileSync(folder + file)), file))
        const errors = await Effect.runPromise(Effect.scoped(Golden.verify(golden, file)).pipe(Effect.provide(layer)))
        if (!Golden.passes(errors)) console.log(file, errors)
        expect(Golden.passes(errors)).toBe(true)
      })
  })
