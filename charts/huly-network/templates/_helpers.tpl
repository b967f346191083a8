{{/* What everything's name begins with. Short, for a Service's name has at most 63 characters. */}}
{{- define "huly-network.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The same for what is in no namespace. No namespace has a colon in its name, so that no two
releases share it. */}}
{{- define "huly-network.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "huly-network.fullname" .) -}}
{{- end -}}

{{/* What selects the release's Pods. */}}
{{- define "huly-network.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What every Pod of every release has, whatever its name is. */}}
{{- define "huly-network.partOf" -}}
app.kubernetes.io/part-of: huly-network
{{- end -}}

{{/* A Pod's labels, from (root, own: what its controller selects it by besides, more: the values').
What selects it stands, whatever is said more. */}}
{{- define "huly-network.podLabels" -}}
{{- $selector := include "huly-network.selector" .root | fromYaml -}}
{{- $partOf := include "huly-network.partOf" .root | fromYaml -}}
{{- toYaml (merge (dict) $selector $partOf .own .more) -}}
{{- end -}}

{{/* The labels of everything. */}}
{{- define "huly-network.labels" -}}
{{ include "huly-network.selector" . }}
{{ include "huly-network.partOf" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image's full name, from (root, image). */}}
{{- define "huly-network.image" -}}
{{- $image := .image -}}
{{- $registry := default .root.Values.images.registry $image.registry -}}
{{- if $registry }}{{ $registry | trimSuffix "/" }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .root.Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{- define "huly-network.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The Secret with the control secret. */}}
{{- define "huly-network.controlSecret" -}}
{{- .Values.controlSecret.existingSecret | default (printf "%s-control" (include "huly-network.fullname" .)) -}}
{{- end -}}

{{/* The file of the control secret, as a volume and its mount. */}}
{{- define "huly-network.controlVolume" -}}
- name: control
  secret:
    secretName: {{ include "huly-network.controlSecret" . }}
    # 0440; octal numbers are not read alike everywhere.
    defaultMode: 288
    items:
      - key: {{ .Values.controlSecret.key }}
        path: control-secret
{{- end -}}
{{- define "huly-network.controlMount" -}}
- name: control
  mountPath: /etc/huly
  readOnly: true
{{- end -}}

{{/* Where the network server is reached from any namespace. */}}
{{- define "huly-network.address" -}}
{{- printf "%s.%s.svc:3737" (include "huly-network.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* What a program listens on, from (root, port). */}}
{{- define "huly-network.listen" -}}
{{- $host := .root.Values.listenAddress -}}
{{- if contains ":" $host }}[{{ $host }}]{{ else }}{{ $host }}{{ end }}:{{ .port }}
{{- end -}}

{{/* What every program is told about logging. */}}
{{- define "huly-network.logEnv" -}}
- name: HULY_LOG_FORMAT
  value: {{ .Values.log.format }}
- name: HULY_LOG
  value: {{ .Values.log.filter | quote }}
{{- end -}}

{{/* Probes, from (ready: seconds between looks whether it is; failures: of liveness until a restart). */}}
{{- define "huly-network.probes" -}}
readinessProbe:
  httpGet:
    path: /readyz
    port: http
  periodSeconds: {{ .ready }}
  timeoutSeconds: 3
  failureThreshold: 3
livenessProbe:
  httpGet:
    path: /livez
    port: http
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: {{ .failures }}
{{- end -}}

{{/* A Pod's annotations, from (root, port, more: the values', which stand). */}}
{{- define "huly-network.podAnnotations" -}}
{{- $scrape := dict -}}
{{- if .root.Values.metrics.scrapeAnnotations -}}
{{- $_ := set $scrape "prometheus.io/scrape" "true" -}}
{{- $_ := set $scrape "prometheus.io/port" (toString .port) -}}
{{- $_ := set $scrape "prometheus.io/path" "/metrics" -}}
{{- end -}}
{{- with merge (dict) .more $scrape -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* Nodes that do not answer lose the Pod soon, from (root, more). */}}
{{- define "huly-network.tolerations" -}}
{{- range list "not-ready" "unreachable" }}
- key: node.kubernetes.io/{{ . }}
  operator: Exists
  effect: NoExecute
  tolerationSeconds: {{ $.root.Values.nodeLossTolerationSeconds }}
{{- end }}
{{- with .more }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where a Pod may be placed, from a component's values. */}}
{{- define "huly-network.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Makes something be there for `helm test` alone, from (events, weight: its place in their order). */}}
{{- define "huly-network.testHook" -}}
helm.sh/hook: {{ .events }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded,hook-failed
{{- end -}}
