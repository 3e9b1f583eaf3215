"""The restricted Pod Security Standard, as far as a pod template can break it."""

from tests.deploy.kustomize import Object, containers

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def violations(template: Object) -> list[str]:
    """What the standard, and we beyond it, do not allow; empty is well."""
    spec = template["spec"]
    pod = spec.get("securityContext", {})
    found = [f"{key} is true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    for volume in spec.get("volumes", []):
        found += [f"volume of type {kind}" for kind in volume.keys() - {"name"} - VOLUMES]
    if pod.get("sysctls") or pod.get("appArmorProfile") or pod.get("seLinuxOptions"):
        found.append("sysctls, AppArmor or SELinux of its own")
    # Beyond the standard: what no pod of ours needs.
    if spec.get("automountServiceAccountToken") is not False:
        found.append("a service account's token is mounted")
    if spec.get("enableServiceLinks") is not False:
        found.append("Services are put into the environment")
    for container in containers(template):
        own = container.get("securityContext", {})
        found += [f"{container['name']}: {each}" for each in _of_container(container, {**pod, **own}, own)]
    return found


def _of_container(container: Object, context: Object, own: Object) -> list[str]:
    found = []
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        found.append("may run as root")
    if context.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        found.append("no seccomp profile")
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        found.append("may gain privileges")
    capabilities = own.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        found.append("keeps capabilities")
    if own.get("readOnlyRootFilesystem") is not True:
        found.append("its root can be written to")
    if own.get("procMount", "Default") != "Default" or any("hostPort" in port for port in container.get("ports", [])):
        found.append("procMount or a port of the host")
    return found
