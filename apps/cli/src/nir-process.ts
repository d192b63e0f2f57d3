/**
 * Entry point of the process that reads NIR files: it receives a path and sends back the document or the fields of the error. It is a
 * separate process because a corrupt HDF5 file can make the library loop forever, or reject valid files afterwards.
 */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { addFilter, read } from "@spikeroute/nir"
import { Effect } from "effect"

process.on("message", async (file: string) => {
  const lzf = fileURLToPath(import.meta.resolve("h5wasm-plugins")).replace(/index\.mjs$/, "plugins/libH5Zlzf.so")
  await addFilter("lzf", readFileSync(lzf))
  const answer = await Effect.runPromise(
    Effect.match(read(readFileSync(file), file), {
      onSuccess: (document) => ({ document }),
      onFailure: ({ node, reason }) => ({ node, reason }),
    }),
  )
  process.send?.(answer, () => process.exit())
})
process.on("disconnect", () => process.exit())
