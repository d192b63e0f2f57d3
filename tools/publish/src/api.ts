/** Generates the API reference from doc comments with `deno doc`. */
import { mkdir } from "node:fs/promises"
import { join, resolve } from "node:path"
import { deno } from "./deno.ts"
import { publicPackages } from "./index.ts"

/** Writes the pages of all packages to a folder. */
export const makeReference = async (repository: string, folder: string): Promise<void> => {
  const modules = (await publicPackages(repository)).flatMap(({ folder, manifest }) =>
    Object.values(manifest.exports).flatMap((source) => (source.endsWith(".ts") ? [join(folder, source)] : [])),
  )
  await mkdir(resolve(repository, folder), { recursive: true })
  const command = [deno, "doc", "--html", "--name=Spikeroute", `--output=${folder}`, ...modules]
  const child = Bun.spawn(command, { cwd: repository, stdin: "ignore", stdout: "ignore", stderr: "pipe" })
  const [errors, exitCode] = await Promise.all([child.stderr.text(), child.exited])
  if (exitCode !== 0) throw new Error(`deno doc ended with ${exitCode}\n${errors}`)
}
