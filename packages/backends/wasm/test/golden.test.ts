import { describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { Safetensors } from "@spikeroute/core"
import { Golden } from "@spikeroute/core/testing"
import { Effect } from "effect"
import { configurations } from "./configurations.ts"

const folder = new URL("../../../../../shared/golden/data/", import.meta.url)
const files = existsSync(folder) ? readdirSync(folder).sort() : []

for (const { name, run } of files.length > 0 ? configurations() : [])
  describe(`${name} computes PyTorch's gradients`, () => {
    for (const file of files)
      test(file, async () => {
        const errors = await run(
          Safetensors.decode(readFileSync(new URL(file, folder)), file).pipe(
            Effect.flatMap((golden) => Golden.verify(golden, file)),
            Effect.scoped,
          ),
        )
        expect({ errors, passes: Golden.passes(errors) }).toEqual({ errors, passes: true })
      })
  })
