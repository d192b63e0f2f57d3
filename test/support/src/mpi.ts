/** The implementations of MPI on this machine. */

export interface Launcher {
  readonly name: string
  readonly compiler: string
  readonly command: (ranks: number) => ReadonlyArray<string>
}

// Open MPI refuses to run as root, and more processes than processors, unless told.
const openmpi = (run: string) => (ranks: number) => [run, "--allow-run-as-root", "--oversubscribe", "-n", `${ranks}`]
const mpich = (run: string) => (ranks: number) => [run, "-n", `${ranks}`]

/** Debian has both side by side. */
const known = [
  { name: "Open MPI", compiler: "mpicc.openmpi", run: "mpirun.openmpi", command: openmpi },
  { name: "MPICH", compiler: "mpicc.mpich", run: "mpirun.mpich", command: mpich },
]

export const launchers: ReadonlyArray<Launcher> = known
  .filter(({ compiler, run }) => Bun.which(compiler) && Bun.which(run))
  .map(({ name, compiler, run, command }) => ({ name, compiler, command: command(run) }))

if (launchers.length === 0)
  process.stderr.write(`tests of MPI are skipped: there is neither ${known.map(({ run }) => run).join(" nor ")}\n`)

/** Starts a module under a launcher. */
export const start = (
  { compiler, command }: Launcher,
  ranks: number,
  args: ReadonlyArray<string>,
): Bun.Subprocess<"ignore", "pipe", "pipe"> =>
  Bun.spawn([...command(ranks), process.execPath, ...args], {
    env: { ...process.env, NO_COLOR: "1", MPICC: compiler },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
