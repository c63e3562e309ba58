{{- /* RBAC rules of one scope of files/rbac.yaml, which is generated from the operator's table of
       rights. Arguments: root, scope. Renders nothing where the scope has no rules. */ -}}
{{- define "firewatch.rules" -}}
{{- $rights := .root.Files.Get "files/rbac.yaml" | fromYaml -}}
{{- if not (hasKey $rights .scope) -}}
{{- fail (printf "files/rbac.yaml has no scope %s: run `make generate`" .scope) -}}
{{- end -}}
{{- with get $rights .scope }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{- /* The operator as the subject of a binding. */ -}}
{{- define "firewatch.subject" -}}
- kind: ServiceAccount
  name: {{ include "firewatch.fullname" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- /* A ClusterRole that is bound where the user says. Arguments: root, scope, namespaces. */ -}}
{{- define "firewatch.grant" -}}
{{- $name := printf "%s-%s" (include "firewatch.fullname" .root) .scope -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels:
    {{- include "firewatch.labels" .root | nindent 4 }}
rules:
  {{- include "firewatch.rules" . | nindent 2 }}
{{- range $namespace := .namespaces }}
---
apiVersion: rbac.authorization.k8s.io/v1
{{- if eq $namespace "*" }}
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
{{- else }}
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ $namespace }}
{{- end }}
  labels:
    {{- include "firewatch.labels" $.root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $name }}
subjects:
  {{- include "firewatch.subject" $.root | nindent 2 }}
{{- end }}
{{- end -}}
