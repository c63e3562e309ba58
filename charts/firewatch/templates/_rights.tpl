{{- /* RBAC rules of one scope of files/rbac.yaml or another file, generated from the table of
       rights. Arguments: root, scope, file. Renders nothing where the scope has no rules. */ -}}
{{- define "firewatch.rules" -}}
{{- $file := .file | default "files/rbac.yaml" -}}
{{- $rights := .root.Files.Get $file | fromYaml -}}
{{- if not (hasKey $rights .scope) -}}
{{- fail (printf "%s has no scope %s: run `make generate`" $file .scope) -}}
{{- end -}}
{{- with get $rights .scope }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{- /* The operator as the subject of a binding. */ -}}
{{- define "firewatch.subject" -}}
- kind: ServiceAccount
  name: {{ include "firewatch.fullname" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- /* RBAC rules of the further kinds that may be targets. */ -}}
{{- define "firewatch.extraRules" -}}
{{- $kinds := list -}}
{{- range .Values.targets.extraKinds }}
{{- if has .kind $kinds }}
{{- fail (printf "targets.extraKinds has %s twice: AutoResponses name a kind without its group" .kind) }}
{{- end }}
{{- $kinds = append $kinds .kind }}
- apiGroups:
  - {{ .group | quote }}
  resources:
  - {{ .resource }}
  verbs:
  - get
- apiGroups:
  - {{ .group | quote }}
  resources:
  - {{ .resource }}/scale
  verbs:
  - get
  - patch
{{- end }}
{{- end -}}

{{- /* What a process is told of these kinds. */ -}}
{{- define "firewatch.extraKindsVariable" -}}
{{- with .Values.targets.extraKinds -}}
- name: FIREWATCH_EXTRA_KINDS
  value: {{ toJson . | quote }}
{{- end -}}
{{- end -}}

{{- /* A ClusterRole that is bound where the user says. Arguments: root, scope, namespaces, further
       rules, and releases: whether whoever gives back before an uninstall needs it too. */ -}}
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
  {{- with .further }}
  {{- trim . | nindent 2 }}
  {{- end }}
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
  {{- if $.releases }}
  - kind: ServiceAccount
    name: {{ include "firewatch.releaseName" $.root }}
    namespace: {{ $.root.Release.Namespace }}
  {{- end }}
{{- end }}
{{- end -}}
