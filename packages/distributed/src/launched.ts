/** Environment variables that MPI launchers set for their processes. */
import process from "node:process"

/** The number of processes; undefined without a launcher. */
export const launched = (): number | undefined => {
  const { OMPI_COMM_WORLD_SIZE, PMI_SIZE, MPI_LOCALNRANKS, PMIX_RANK, SLURM_PROCID, SLURM_NTASKS } = process.env
  const told = OMPI_COMM_WORLD_SIZE ?? PMI_SIZE ?? (SLURM_PROCID === undefined ? undefined : SLURM_NTASKS)
  if (told !== undefined) return Number(told)
  return MPI_LOCALNRANKS === undefined && PMIX_RANK === undefined ? undefined : 1
}

/** The rank of this process according to its launcher, for messages before MPI has started. */
export const launchedRank = (): number | undefined => {
  const { OMPI_COMM_WORLD_RANK, PMI_RANK, PMIX_RANK, SLURM_PROCID } = process.env
  const told = Number(OMPI_COMM_WORLD_RANK ?? PMI_RANK ?? PMIX_RANK ?? SLURM_PROCID)
  return Number.isInteger(told) ? told : undefined
}
