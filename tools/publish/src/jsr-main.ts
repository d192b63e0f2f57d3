/** `bun run publish:jsr`: runs `deno publish` on the packages with the given arguments, such as `--dry-run`. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { deno } from "./deno.ts"
import { stage } from "./jsr.ts"

const folder = await mkdtemp(join(tmpdir(), "spikeroute-jsr-"))
try {
  await stage(join(import.meta.dir, "../../.."), folder)
  const command = [deno, "publish", "--allow-dirty", ...process.argv.slice(2)]
  process.exitCode = await Bun.spawn(command, { cwd: folder, stdio: ["inherit", "inherit", "inherit"] }).exited
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
} finally {
  await rm(folder, { recursive: true, force: true })
}
